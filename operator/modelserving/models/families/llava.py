"""LLaVA 1.5, NeXT and NeXT-Video: a tower cut at its feature layer, a projector and any decoder.

The tower is CLIP, SigLIP or Pixtral's. Source: vLLM 0.32 model_executor/models/llava.py, llava_next.py, llava_next_video.py,
clip.py.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import Module, Section, Split, Stage, VisionTower
from modelserving.models.families import pixtral, siglip
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, row
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import (
    Vit,
    attention,
    feature_layers,
    join,
    kept,
    mlp,
    part,
    plain,
    read_vit,
    table,
    tower,
    vector,
)
from modelserving.models.fields import Fields, InvalidFieldError, show

# transformers CLIPVisionConfig.
CLIP = Vit(768, 3072, 12, 12, 224, 32)
# Tiles of the largest image: `anyres` has up to four and the whole (LlavaNextConfig.image_grid_pinpoints).
_NEXT_TILES = 5


@dataclass(frozen=True, slots=True)
class _Kind:
    """What tells one LLaVA from another.

    Attributes:
        newline: whether it has an embedding for the end of a row of tiles.
        cut: whether the projector is cut over ranks.
        tiles: passes that the largest image takes.
    """

    newline: bool
    cut: bool
    tiles: int
    modalities: tuple[str, ...] = ("image",)


def _text(config: Fields) -> Description:
    text = config.part("text_config") or Fields({}, "text_config")
    # LlavaConfig takes the inner flag where its own is not set.
    return language_model(text, config.flag("tie_word_embeddings") or text.flag("tie_word_embeddings"))


def _describe(config: Fields, kind: _Kind) -> Description:
    text = _text(config)
    parts, facts = _tower(config, kind)
    width, out = facts.hidden_size, text.hidden_size
    biased = config.flag("multimodal_projector_bias", True)
    name = "multi_modal_projector.linear_"
    if kind.cut:
        projector = part(column(f"{name}1", width, out, biased), row(f"{name}2", out, out, biased))
    else:
        projector = part(plain(f"{name}1", width, out, biased), plain(f"{name}2", out, out, biased))
    newline = Section(Stage.EVERY, (Module("image_newline", Split.REPLICATED, 1, (out,)),), tower=True)
    front = (newline,) if kind.newline else ()
    return join(text, (*front, *parts, projector), replace(facts, modalities=kind.modalities))


def _tower(config: Fields, kind: _Kind) -> tuple[tuple[Section, ...], VisionTower]:
    vision = config.part("vision_config") or Fields({}, "vision_config")
    name = vision.text("model_type", "clip_vision_model")
    if name == "pixtral":
        vit, layers = pixtral.read_tower(config)
        return pixtral.sections(vit, layers), pixtral.facts(vit, 1)
    if name == "clip_vision_model":
        vit = read_vit(vision, CLIP)
        layers = feature_layers(config, vit, -2)
        return clip_sections(vit, layers), tower(vit, vit.num_patches, largest=kind.tiles * vit.num_patches)
    if name == "siglip_vision_model":
        sizes = siglip.read_siglip(vision, config.wholes("vision_feature_layer", -2, low=-512, high=511))
        facts = siglip.vision_tower(sizes, kind.tiles, ("image",))
        return siglip.tower_only(sizes), replace(facts, tokens_per_image=sizes.num_patches)
    raise InvalidFieldError(
        f"{vision.name('model_type')} is {show(name)}; LLaVA is known with CLIP, SigLIP and Pixtral"
    )


def clip_sections(
    vit: Vit, layers: int, root: str = "vision_tower.vision_model", post_norm: bool = False
) -> tuple[Section, ...]:
    """CLIP's vision tower."""
    name, width = f"{root}.encoder.layers.*", vit.hidden_size
    front = (
        vector(f"{root}.embeddings.class_embedding", width),
        Module(f"{root}.embeddings.patch_embedding", Split.REPLICATED, vit.pixels, (width,)),
        table(f"{root}.embeddings.position_embedding", vit.num_patches + 1, width),
        norm(f"{root}.pre_layrnorm", width, True),
    )
    return (
        part(*front),
        kept(table(f"{root}.position_ids", 1, vit.num_patches + 1, "int64")),
        part(*clip_layer(name, width, vit.intermediate_size, vit.num_heads), repeats=layers),
        *((part(norm(f"{root}.post_layernorm", width, True)),) if post_norm else ()),
    )


def clip_layer(name: str, width: int, inner: int, heads: int) -> tuple[Module, ...]:
    """A layer of CLIP's encoders, of images and of text alike."""
    return (
        *attention(f"{name}.self_attn", width, heads),
        norm(f"{name}.layer_norm1", width, True),
        *mlp(f"{name}.mlp", width, inner),
        norm(f"{name}.layer_norm2", width, True),
    )


_PREFIXES = (
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("model.image_newline", "image_newline"),
    ("lm_head.", "language_model.lm_head."),
)
_UNUSED = ("vision_tower.vision_model.post_layernorm.", "vision_tower.vision_model.head.")


def _family(name: str, architecture: str, kind: _Kind) -> Family:
    return Family(name, (architecture,), lambda config: _describe(config, kind), _PREFIXES, unused=_UNUSED)


LLAVA: Family = _family("llava", "LlavaForConditionalGeneration", _Kind(newline=False, cut=True, tiles=1))
LLAVA_NEXT: Family = _family(
    "llava_next", "LlavaNextForConditionalGeneration", _Kind(newline=True, cut=True, tiles=_NEXT_TILES)
)
LLAVA_NEXT_VIDEO: Family = _family(
    "llava_next_video",
    "LlavaNextVideoForConditionalGeneration",
    _Kind(newline=False, cut=False, tiles=1, modalities=("video",)),
)
