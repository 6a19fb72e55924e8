"""GLM-4.1V, 4.5V, 4.6V and GLM-OCR: a gated tower, a convolution that merges patches, GLM-4 or its mixture.

Source: vLLM 0.32 model_executor/models/glm4_1v.py, glm_ocr.py.
"""

from collections.abc import Callable

from modelserving.models.facts import Module, Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
    MOST_LAYERS,
    Vit,
    attention,
    gated,
    join,
    kept,
    part,
    plain,
    table,
    tower,
)
from modelserving.models.fields import Fields

# Positions of the tower's own rope cache, whose heads are rotated by half (get_rope(max_position=8192)).
_ROPE_ROWS = 8192
_CHANNELS = 3
_MODALITIES = ("image", "video")
# 4,816,896 pixels of 28 x 28 a token (Glm4vImageProcessor, size.longest_edge).
_LARGEST_ITEM = 6144


def _read(vision: Fields, out: int) -> tuple[Vit, int, int, int]:
    """(sizes, width of the merger's output, patches a side that are merged, frames of a patch)."""
    hidden = vision.whole("hidden_size", 1536, high=LARGEST_WIDTH)
    heads = vision.whole("num_heads", 12, high=hidden)
    if hidden % heads:
        raise vision.fail("num_heads", f"a divisor of hidden_size ({hidden})")
    out = vision.whole("out_hidden_size", out, high=LARGEST_WIDTH)
    image = vision.whole("image_size", 336, high=2**16)
    vit = Vit(
        hidden,
        vision.whole("intermediate_size", 13696, high=LARGEST_WIDTH),
        vision.whole("depth", 24, high=MOST_LAYERS),
        heads,
        image,
        vision.whole("patch_size", 14, high=image),
        vision.whole("in_channels", _CHANNELS, high=64),
    )
    return vit, out, vision.whole("spatial_merge_size", 2, high=64), vision.whole("temporal_patch_size", 2, high=64)


def _front(vit: Vit, out: int, merge: int, frames: int) -> tuple[Module, ...]:
    width, root = vit.hidden_size, "visual"
    return (
        plain(f"{root}.patch_embed.proj", vit.pixels * frames, width),
        norm(f"{root}.post_layernorm", width),
        plain(f"{root}.downsample", width * merge**2, out),
    )


def _merger(out: int, inner: int) -> tuple[Module, ...]:
    name = "visual.merger"
    return (
        column(f"{name}.proj", out, out),
        norm(f"{name}.post_projection_norm", out, True),
        *gated(name, out, inner),
    )


def _block(vit: Vit, inner: int, bias: bool) -> tuple[Module, ...]:
    name, width = "visual.blocks.*", vit.hidden_size
    return (
        norm(f"{name}.norm1", width),
        norm(f"{name}.norm2", width),
        *attention(f"{name}.attn", width, vit.num_heads, "qkv", "proj", ("qkv",), bias),
        *gated(f"{name}.mlp", width, inner, bias),
    )


def _rope(vit: Vit) -> Section:
    size = vit.hidden_size // vit.num_heads // 2
    return kept(table("visual.rotary_pos_emb.cos_sin_cache", _ROPE_ROWS, size))


def _glm4v(vision: Fields, out: int) -> tuple[Vit, tuple[Section, ...]]:
    vit, out, merge, frames = _read(vision, out)
    # Its MLP is as wide as the merger's output; what config.json calls intermediate_size is the merger's.
    positions = vit.num_patches
    parts = (
        part(
            *_front(vit, out, merge, frames),
            *_merger(out, vit.intermediate_size),
            norm("visual.post_conv_layernorm", vit.hidden_size),
            table("visual.embeddings.position_embedding", positions, vit.hidden_size),
        ),
        _rope(vit),
        kept(table("visual.embeddings.position_ids", 1, positions, "int64")),
        part(*_block(vit, out, vision.flag("attention_bias")), repeats=vit.num_layers),
    )
    return vit, parts


def _ocr(vision: Fields, out: int) -> tuple[Vit, tuple[Section, ...]]:
    vit, out, merge, frames = _read(vision, out)
    size = vit.hidden_size // vit.num_heads
    norms = (norm(f"visual.blocks.*.attn.{key}_norm", size) for key in "qk")
    parts = (
        part(*_front(vit, out, merge, frames), *_merger(out, vit.num_channels * out)),
        _rope(vit),
        part(*_block(vit, vit.intermediate_size, True), *norms, repeats=vit.num_layers),
    )
    return vit, parts


def _describe(
    config: Fields, architecture: str, read: Callable[[Fields, int], tuple[Vit, tuple[Section, ...]]]
) -> Description:
    text = language_model(config.required_part("text_config"), ties(config, False), architecture)
    vit, parts = read(config.required_part("vision_config"), text.hidden_size)
    return join(text, parts, tower(vit, vit.num_patches // 4, _MODALITIES, _LARGEST_ITEM, data_parallel=True))


# glm4_1v.py, hf_to_vllm_mapper.
_PREFIXES = (
    ("lm_head.", "language_model.lm_head."),
    ("model.language_model.", "language_model.model."),
    ("model.visual.", "visual."),
)
GLM4V: Family = Family(
    "glm4v",
    ("Glm4vForConditionalGeneration", "Glm46VForConditionalGeneration"),
    lambda config: _describe(config, "Glm4ForCausalLM", _glm4v),
    _PREFIXES,
)
GLM4V_MOE: Family = Family(
    "glm4v_moe",
    ("Glm4vMoeForConditionalGeneration",),
    lambda config: _describe(config, "Glm4MoeForCausalLM", _glm4v),
    _PREFIXES,
)
GLM_OCR: Family = Family(
    "glm_ocr", ("GlmOcrForConditionalGeneration",), lambda config: _describe(config, "Glm4ForCausalLM", _ocr), _PREFIXES
)
