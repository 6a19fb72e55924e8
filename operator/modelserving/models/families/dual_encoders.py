"""CLIP and SigLIP, whole: an encoder of texts and one of images into one space.

Source: vLLM 0.32 model_executor/models/clip.py, siglip.py. CLIP's texts look back only and keep a cache; SigLIP's do not.
"""

from collections.abc import Callable
from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage
from modelserving.models.families import llava
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import attention_scales, norm
from modelserving.models.families.siglip import Siglip, read_siglip, siglip_layer, tower_only, vision_tower
from modelserving.models.families.towers import Vit, mlp, part, plain, read_vit, table, tower, vector
from modelserving.models.fields import Fields

# transformers CLIPTextConfig, SiglipTextConfig: (sizes, vocabulary, positions).
_CLIP_TEXT = (Vit(512, 2048, 12, 8, 1, 1), 49408, 77)
_Layer = Callable[[str, int, int, int], tuple[Module, ...]]
_SIGLIP_TEXT = (Vit(768, 3072, 12, 12, 1, 1), 32000, 64)


def _text(text: Fields, defaults: tuple[Vit, int, int], kind: AttentionKind, layer: _Layer) -> Description:
    sizes, vocabulary, positions = defaults
    vit = read_vit(text, sizes)
    vocabulary = text.whole("vocab_size", vocabulary, high=2**24)
    positions = text.whole("max_position_embeddings", positions, high=2**20)
    layers, width = tuple(range(vit.num_layers)), vit.hidden_size
    size, root = width // vit.num_heads, "text_model"
    front = (
        Module(f"{root}.embeddings.token_embedding", Split.VOCAB, width, (vocabulary,)),
        Module(f"{root}.embeddings.position_embedding", Split.VOCAB, width, (positions,)),
        norm(f"{root}.final_layer_norm", width, True),
    )
    name = f"{root}.encoder.layers.*"
    return Description(
        sections=(
            Section(Stage.FIRST, front),
            Section(Stage.LAYERS, layer(name, width, vit.intermediate_size, vit.num_heads), layers=layers),
            attention_scales(f"{name}.self_attn.attn", layers),
        ),
        attention=(AttentionGroup(kind, layers, vit.num_heads, vit.num_heads, size, size),),
        max_model_len=positions,
        hidden_size=width,
        intermediate_size=vit.intermediate_size,
        vocab_size=vocabulary,
        num_layers=vit.num_layers,
        num_attention_heads=vit.num_heads,
        num_kv_heads=vit.num_heads,
        head_size=size,
        tie_word_embeddings=False,
        supports_pipeline=False,
        pooling=True,
    )


def _clip(config: Fields) -> Description:
    text = _text(
        config.part("text_config") or Fields({}, "text_config"), _CLIP_TEXT, AttentionKind.FULL, llava.clip_layer
    )
    vit = read_vit(config.part("vision_config") or Fields({}, "vision_config"), llava.CLIP)
    space = config.whole("projection_dim", 512, high=2**16)
    parts = (
        *llava.clip_sections(vit, vit.num_layers, "vision_model", post_norm=True),
        part(plain("visual_projection", vit.hidden_size, space, False)),
    )
    projection = Section(Stage.LAST, (plain("text_projection", text.hidden_size, space, False),))
    return replace(text, sections=(*text.sections, projection, *parts), vision=tower(vit, vit.num_patches))


def _siglip(config: Fields) -> Description:
    inner = config.part("text_config") or Fields({}, "text_config")
    text = _text(inner, _SIGLIP_TEXT, AttentionKind.ENCODER_ONLY, siglip_layer)
    vision = config.part("vision_config") or Fields({}, "vision_config")
    sizes = read_siglip(vision, (-1,))
    space = inner.whole("projection_size", text.hidden_size, high=2**16)
    root = "vision_model"
    parts = (
        *tower_only(sizes, root, post_norm=True),
        *((_pool(sizes, f"{root}.head"),) if vision.flag("vision_use_head", True) else ()),
    )
    positions = Module(
        "text_model.embeddings.position_ids", Split.REPLICATED, 1, (text.max_model_len,), fixed_dtype="int64"
    )
    head = (
        Section(Stage.LAST, (plain("text_model.head", text.hidden_size, space),)),
        Section(Stage.FIRST, (positions,), buffers=True),
    )
    facts = vision_tower(sizes, 1, ("image",))
    return replace(text, sections=(*text.sections, *head, *parts), vision=facts)


def _pool(sizes: Siglip, root: str) -> Section:
    """Attention of one learned query over all patches."""
    width = sizes.hidden_size
    return part(
        vector(f"{root}.probe", width),
        table(f"{root}.attention.in_proj_weight", 3 * width, width),
        vector(f"{root}.attention.in_proj_bias", 3 * width),
        plain(f"{root}.attention.out_proj", width, width),
        norm(f"{root}.layernorm", width, True),
        *mlp(f"{root}.mlp", width, sizes.intermediate_size, quantizable=False),
    )


FAMILIES: tuple[Family, ...] = (
    Family("clip", ("CLIPModel",), _clip, unused=("logit_scale",)),
    Family("siglip", ("SiglipModel",), _siglip, unused=("logit_scale", "logit_bias")),
)
