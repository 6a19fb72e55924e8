"""InternVL in its makers' format: InternViT, an MLP and any language model (vLLM 0.32: models/internvl.py, intern_vit.py)."""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import (
    Vit,
    attention,
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


def _vit(vision: Fields, vit: Vit, layers: int) -> tuple[Section, ...]:
    width, root = vit.hidden_size, "vision_model.embeddings"
    name = "vision_model.encoder.layers.*"
    normed = vision.flag("qk_normalization", True)
    norm_bias = vision.text("norm_type", "rms_norm") == "layer_norm"
    attended = (
        *attention(
            f"{name}.attn",
            width,
            vit.num_heads,
            "qkv",
            "proj",
            ("qkv",),
            vision.flag("qkv_bias"),
            out_bias=True,
        ),
        *(norm(f"{name}.attn.{key}_norm", width) for key in ("q", "k") if normed),
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
        part(*attended, repeats=layers, shard_heads=vit.num_heads),
        part(*layer, repeats=layers),
    )


FAMILY: Family = Family("internvl_chat", ("InternVLChatModel", "SkyworkR1VChatModel"), _describe)
