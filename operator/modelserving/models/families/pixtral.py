"""Pixtral's tower in transformers' format, alone under LLaVA's projector or with Mistral 3's patch merger.

Source: vLLM 0.32 model_executor/models/pixtral.py (PixtralHFVisionModel), mistral3.py, lightonocr.py.
"""

from modelserving.models.facts import Section, VisionTower
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, row
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import (
    Vit,
    attention,
    feature_layers,
    gated,
    join,
    kept,
    part,
    plain,
    read_vit,
    table,
    tower,
)
from modelserving.models.fields import Fields

# transformers PixtralVisionConfig.
DEFAULTS = Vit(1024, 4096, 24, 16, 1024, 16)
# Frequencies of the rotary embedding, as loaded and as computed (transformers PixtralRotaryEmbedding).
_FREQUENCIES = ("inv_freq", "original_inv_freq")


def read_tower(config: Fields) -> tuple[Vit, int]:
    """Sizes of the tower and how many of its layers are used.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    vit = read_vit(config.part("vision_config") or Fields({}, "vision_config"), DEFAULTS)
    return vit, feature_layers(config, vit, -1)


def sections(vit: Vit, layers: int) -> tuple[Section, ...]:
    """The tower."""
    width, name = vit.hidden_size, "vision_tower.transformer.layers.*"
    layer = (
        norm(f"{name}.attention_norm", width),
        *attention(f"{name}.attention", width, vit.num_heads, out="o_proj", bias=False),
        *gated(f"{name}.feed_forward", width, vit.intermediate_size),
        norm(f"{name}.ffn_norm", width),
    )
    half = max(1, width // vit.num_heads // 2)
    frequencies = (table(f"vision_tower.patch_positional_embedding.{key}", 1, half, "float32") for key in _FREQUENCIES)
    return (
        part(plain("vision_tower.patch_conv", vit.pixels, width, False), norm("vision_tower.ln_pre", width)),
        kept(*frequencies),
        part(*layer, repeats=layers),
    )


def facts(vit: Vit, merge: int) -> VisionTower:
    """Facts that the tower's memory is computed from; an image is one pass of as many patches as it has."""
    return tower(vit, vit.num_patches // merge**2)


def _merged(config: Fields, tied: bool | None, model_type: str) -> Description:
    text = language_model(config.required_part("text_config"), tied, model_type=model_type)
    vit, layers = read_tower(config)
    merge = config.whole("spatial_merge_size", 2, high=64)
    biased = config.flag("multimodal_projector_bias")
    name, width = "multi_modal_projector", vit.hidden_size
    projector = part(
        norm(f"{name}.norm", width),
        plain(f"{name}.patch_merger.merging_layer", width * merge**2, width, False),
        column(f"{name}.linear_1", width, text.hidden_size, biased),
        row(f"{name}.linear_2", text.hidden_size, text.hidden_size, biased),
    )
    return join(text, (*sections(vit, layers), projector), facts(vit, merge))


# hf_to_vllm_mapper of mistral3.py and PixtralHFVisionModel's fused projections.
_PREFIXES = (
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower."),
    ("model.vision_encoder.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("model.vision_projection.", "multi_modal_projector."),
    ("lm_head.", "language_model.lm_head."),
)
MISTRAL3: Family = Family(
    "mistral3",
    ("Mistral3ForConditionalGeneration",),
    lambda config: _merged(config, ties(config, True), "mistral"),
    _PREFIXES,
)
LIGHTON_OCR: Family = Family(
    "lighton_ocr",
    ("LightOnOCRForConditionalGeneration",),
    lambda config: _merged(config, ties(config, True), "qwen3"),
    _PREFIXES,
)
