"""InternVL in its makers' format and its kin: InternViT, an MLP and any language model.

Source: vLLM 0.32 model_executor/models/internvl.py, intern_vit.py, nvlm_d.py, h2ovl.py.
"""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm, qkv, row
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import (
    Vit,
    feature_layers,
    join,
    mlp,
    part,
    plain,
    read_vit,
    table,
    tower,
    vector,
)
from modelserving.models.fields import Fields

# configuration_intern_vit.py of the published checkpoints.
_DEFAULTS = Vit(3200, 12800, 48, 25, 224, 14)
_TILES = 13
_MODALITIES = ("image", "video")
# Heads without weights that make NVLM's 25 divide (nvlm_d.py, num_dummy_heads), and the largest image's tiles there.
_NVLM_HEADS, _NVLM_TILES = 7, 7


def _describe(config: Fields) -> Description:
    inner = config.part("llm_config") or config.required_part("text_config")
    text = language_model(inner)
    vision = config.required_part("vision_config")
    vit = read_vit(vision, _DEFAULTS)
    layers = feature_layers(config.having(vision_feature_layer=config.raw("select_layer")), vit, -1)
    shuffled = max(1, round(1 / config.number("downsample_ratio", 0.5, 0.01, 1.0)))
    joined = vit.hidden_size * shuffled**2
    projector = part(
        norm("mlp1.0", joined, True),
        plain("mlp1.1", joined, text.hidden_size),
        plain("mlp1.3", text.hidden_size, text.hidden_size),
    )
    tokens = vit.num_patches // shuffled**2
    facts = tower(vit, tokens, _MODALITIES, _TILES * tokens, data_parallel=True)
    return join(text, (*_vit(vision, vit, layers), projector), facts)


def _nvlm(config: Fields) -> Description:
    """NVLM-D: more heads than it has weights for, and a projector as wide as the language model's MLP."""
    inner = config.part("llm_config") or config.required_part("text_config")
    text = language_model(inner, model_type="qwen2")
    vision = config.required_part("vision_config")
    vit = read_vit(vision, _DEFAULTS)
    layers = feature_layers(config.having(vision_feature_layer=config.raw("select_layer")), vit, -1)
    shuffled = max(1, round(1 / config.number("downsample_ratio", 0.5, 0.01, 1.0)))
    joined = vit.hidden_size * shuffled**2
    projector = part(
        norm("mlp1.0", joined, True),
        plain("mlp1.1", joined, text.intermediate_size, False),
        plain("mlp1.3", text.intermediate_size, text.hidden_size, False),
    )
    tokens = vit.num_patches // shuffled**2
    facts = tower(vit, tokens, ("image",), _NVLM_TILES * tokens, data_parallel=True)
    return join(text, (*_vit(vision, vit, layers, _NVLM_HEADS), projector), facts)


def _vit(vision: Fields, vit: Vit, layers: int, dummies: int = 0) -> tuple[Section, ...]:
    width, root = vit.hidden_size, "vision_model.embeddings"
    name = "vision_model.encoder.layers.*"
    normed = vision.flag("qk_normalization", True)
    norm_bias = vision.text("norm_type", "rms_norm") == "layer_norm"
    heads, size = vit.num_heads + dummies, width // vit.num_heads
    attended = (
        qkv(f"{name}.attn.qkv", width, (heads, heads), (size, size), vision.flag("qkv_bias"), ("qkv",)),
        row(f"{name}.attn.proj", heads * size, width, True),
        *(norm(f"{name}.attn.{key}_norm", heads * size) for key in ("q", "k") if normed),
    )
    layer = (
        *mlp(f"{name}.mlp", width, vit.intermediate_size),
        norm(f"{name}.norm1", width, norm_bias),
        norm(f"{name}.norm2", width, norm_bias),
        vector(f"{name}.ls1", width),
        vector(f"{name}.ls2", width),
    )
    front = (
        vector(f"{root}.class_embedding", width),
        plain(f"{root}.patch_embedding", vit.pixels, width),
        table(f"{root}.position_embedding", vit.num_patches + 1, width),
    )
    # Attention stays whole where its heads do not divide; the MLP is cut all the same.
    return (
        part(*front),
        part(*attended, repeats=layers, shard_heads=heads),
        part(*layer, repeats=layers),
    )


FAMILY: Family = Family("internvl_chat", ("InternVLChatModel", "SkyworkR1VChatModel", "H2OVLChatModel"), _describe)
NVLM: Family = Family("nvlm_d", ("NVLM_D",), _nvlm)
