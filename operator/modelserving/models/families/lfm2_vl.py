"""LFM2-VL: SigLIP 2 of any resolution, pixel unshuffle and LFM2 (vLLM 0.32: models/lfm2_vl.py, lfm2_siglip2.py)."""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
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
)
from modelserving.models.fields import Fields

# transformers Siglip2VisionConfig; its positions are a table of num_patches, not a grid of image_size.
_DEFAULTS = Vit(768, 3072, 12, 12, 256, 16)
_PATCHES = 256
# Tiles of the largest image and its thumbnail (Lfm2VlImageProcessor, max_tiles).
_TILES = 11


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), ties(config, True), model_type="lfm2")
    vision = config.required_part("vision_config")
    vit = read_vit(vision.having(image_size=None), _DEFAULTS)
    layers = feature_layers(config, vit, -1)
    shuffled = vit.hidden_size * config.whole("downsample_factor", 2, high=64) ** 2
    inner = config.whole("projector_hidden_size", 2560, high=LARGEST_WIDTH)
    biased, name = config.flag("projector_bias", True), "multi_modal_projector"
    normed = config.flag("projector_use_layernorm", True)
    projector = part(
        *((norm(f"{name}.layer_norm", shuffled, True),) if normed else ()),
        plain(f"{name}.linear_1", shuffled, inner, biased),
        plain(f"{name}.linear_2", inner, text.hidden_size, biased),
    )
    tokens = vision.whole("num_patches", _PATCHES, high=2**20)
    parts = (*_vit(vit, layers, tokens, layers == vit.num_layers), projector)
    return join(text, parts, tower(vit, tokens, ("image",), _TILES * tokens))


def _vit(vit: Vit, layers: int, positions: int, whole: bool) -> tuple[Section, ...]:
    root, width = "vision_tower.vision_model", vit.hidden_size
    name = f"{root}.encoder.layers.*"
    layer = (
        norm(f"{name}.layer_norm1", width, True),
        *attention(f"{name}.self_attn", width, vit.num_heads),
        norm(f"{name}.layer_norm2", width, True),
        *mlp(f"{name}.mlp", width, vit.intermediate_size),
    )
    front = (
        plain(f"{root}.embeddings.patch_embedding", vit.pixels, width),
        table(f"{root}.embeddings.position_embedding", positions, width),
    )
    last = (part(norm(f"{root}.post_layernorm", width, True)),) if whole else ()
    return (part(*front), part(*layer, repeats=layers), *last)


FAMILY: Family = Family(
    "lfm2_vl",
    ("Lfm2VlForConditionalGeneration",),
    _describe,
    # lfm2_vl.py, hf_to_vllm_mapper.
    (
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("lm_head.", "language_model.lm_head."),
    ),
)
