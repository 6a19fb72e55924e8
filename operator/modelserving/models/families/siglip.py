"""SigLIP vision tower and the LLaVA projector, as LLaVA-OneVision loads them.

Source: vLLM 0.32 model_executor/models/siglip.py, vision.py and llava_onevision.py. The tower stops at the feature layer
and has no post-norm and no pooling head; the projector is two plain linears, whole on every rank.
"""

from dataclasses import dataclass

from modelserving.models.facts import Module, Section, Split, Stage, VisionTower
from modelserving.models.families.towers import LARGEST_WIDTH, MOST_LAYERS, Vit
from modelserving.models.fields import Fields

# siglip.py, SiglipMLP: the MLP gets quantization settings only where both sizes are multiples of 64.
_QUANTIZABLE_MULTIPLE = 64
# Side of the grid that video frames are pooled to is half the patch grid's, rounded up (llava_onevision.py).
_FRAME_POOLING = 2


@dataclass(frozen=True, slots=True)
class Siglip(Vit):
    """Sizes of a SigLIP encoder."""

    @property
    def tokens_per_frame(self) -> int:
        """Language-model tokens of one video frame."""
        return (-(-(self.image_size // self.patch_size) // _FRAME_POOLING)) ** 2


# What transformers' SiglipVisionConfig fills in for absent keys.
DEFAULTS = Siglip(768, 3072, 12, 12, 224, 16)
# google/siglip-so400m-patch14-384 up to the layer before the last, which LLaVA checkpoints use.
SO400M_384 = Siglip(1152, 4304, 26, 16, 384, 14)


def read_siglip(vision: Fields, feature_layers: tuple[int, ...]) -> Siglip:
    """Read a vision_config; feature_layers count layers as config.json's vision_feature_layer does, the deepest is last.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    stored = vision.whole("num_hidden_layers", DEFAULTS.num_layers, high=MOST_LAYERS)
    used = max(layer + 1 if layer >= 0 else stored + layer + 1 for layer in feature_layers)
    if not 1 <= used <= stored:
        raise vision.fail("num_hidden_layers", f"enough for vision_feature_layer {list(feature_layers)}")
    hidden = vision.whole("hidden_size", DEFAULTS.hidden_size, high=LARGEST_WIDTH)
    heads = vision.whole("num_attention_heads", DEFAULTS.num_heads, high=hidden)
    image = vision.whole("image_size", DEFAULTS.image_size, high=LARGEST_WIDTH)
    patch = vision.whole("patch_size", DEFAULTS.patch_size, high=image)
    if hidden % heads:
        raise vision.fail("num_attention_heads", f"a divisor of hidden_size ({hidden})")
    intermediate = vision.whole("intermediate_size", DEFAULTS.intermediate_size, high=LARGEST_WIDTH)
    return Siglip(hidden, intermediate, used, heads, image, patch, vision.whole("num_channels", 3, high=64))


def tower_sections(siglip: Siglip, text_hidden_size: int) -> tuple[Section, ...]:
    """Vision tower and projector, in the order vLLM builds them."""
    projector = tuple(
        Module(f"multi_modal_projector.linear_{index}", Split.REPLICATED, inputs, (text_hidden_size,), bias=True)
        for index, inputs in ((1, siglip.hidden_size), (2, text_hidden_size))
    )
    return (*tower_only(siglip), Section(Stage.EVERY, projector, tower=True))


def tower_only(
    siglip: Siglip, root: str = "vision_tower.vision_model", post_norm: bool = False, layers: int | None = None
) -> tuple[Section, ...]:
    """Vision tower without a projector.

    Args:
        siglip: its sizes.
        root: vLLM's name of it.
        post_norm: whether it has its norm after the last layer.
        layers: how many are built, where that is not all.
    """
    width = siglip.hidden_size
    embeddings = (
        Module(f"{root}.embeddings.patch_embedding", Split.REPLICATED, siglip.pixels, (width,), bias=True),
        Module(f"{root}.embeddings.position_embedding", Split.REPLICATED, width, (siglip.num_patches,)),
    )
    positions = Module(f"{root}.position_ids", Split.REPLICATED, 1, (siglip.num_patches,), fixed_dtype="int64")
    return (
        Section(Stage.EVERY, embeddings, tower=True),
        Section(Stage.EVERY, (positions,), tower=True, buffers=True),
        Section(
            Stage.EVERY,
            _layer(siglip, f"{root}.encoder.layers.*"),
            repeats=siglip.num_layers if layers is None else layers,
            tower=True,
        ),
        *((Section(Stage.EVERY, (_post_norm(siglip, root),), tower=True),) if post_norm else ()),
    )


def _post_norm(siglip: Siglip, root: str) -> Module:
    return Module(f"{root}.post_layernorm", Split.REPLICATED, 1, (siglip.hidden_size,), bias=True)


def _layer(siglip: Siglip, prefix: str) -> tuple[Module, ...]:
    return siglip_layer(prefix, siglip.hidden_size, siglip.intermediate_size, siglip.num_heads)


def siglip_layer(prefix: str, width: int, inner: int, heads: int) -> tuple[Module, ...]:
    """A layer of SigLIP's encoders, of images and of text alike."""
    mlp_quantizable = width % _QUANTIZABLE_MULTIPLE == 0 and inner % _QUANTIZABLE_MULTIPLE == 0
    return (
        Module(
            f"{prefix}.self_attn.qkv_proj",
            Split.QKV,
            width,
            (width, width, width),
            bias=True,
            heads=(heads,) * 3,
            quantizable=True,
            sources=tuple(f"{prefix}.self_attn.{part}_proj" for part in "qkv"),
        ),
        Module(f"{prefix}.self_attn.out_proj", Split.ROW, width, (width,), bias=True, quantizable=True),
        Module(f"{prefix}.layer_norm1", Split.REPLICATED, 1, (width,), bias=True),
        Module(f"{prefix}.mlp.fc1", Split.COLUMN, width, (inner,), bias=True, quantizable=mlp_quantizable),
        Module(f"{prefix}.mlp.fc2", Split.ROW, inner, (width,), bias=True, quantizable=mlp_quantizable),
        Module(f"{prefix}.layer_norm2", Split.REPLICATED, 1, (width,), bias=True),
    )


def vision_tower(siglip: Siglip, max_tiles: int, modalities: tuple[str, ...]) -> VisionTower:
    """Facts that the encoder's memory is computed from; max_tiles is how many passes the largest image takes."""
    return VisionTower(
        hidden_size=siglip.hidden_size,
        intermediate_size=siglip.intermediate_size,
        num_layers=siglip.num_layers,
        num_heads=siglip.num_heads,
        patches_per_image=siglip.num_patches,
        tokens_per_image=siglip.tokens_per_frame,
        max_tokens_per_item=max_tiles * siglip.num_patches,
        modalities=modalities,
    )
