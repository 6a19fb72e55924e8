"""Step 3 with images: a CLIP of its own, two convolutions, a projector and Step 3 (vLLM 0.32: models/step3_vl.py)."""

from dataclasses import replace

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.llava import clip_layer
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
    Vit,
    join,
    kept,
    part,
    plain,
    read_vit,
    table,
    tower,
    vector,
)
from modelserving.models.fields import Fields

# transformers_utils/configs/step3_vl.py, Step3VisionEncoderConfig.
_VISION = Vit(1792, 3072, 63, 16, 728, 14)
_OUT = 4096
# Patches that the convolutions join, and inputs of their kernels of 2 and 3.
_MERGE, _FIRST, _SECOND = 16, 4, 9
# Tokens of an image of 3024 x 3024 pixels: 36 tiles and the whole, with what marks them (processors/step3_vl.py).
LARGEST_ITEM = 3164


def _describe(config: Fields) -> Description:
    inner = config.required_part("text_config")
    text = language_model(inner, None, "Step3TextForCausalLM")
    vision = config.part("vision_config") or Fields({}, "vision_config")
    vit = read_vit(vision, _VISION)
    out = vision.whole("output_hidden_size", _OUT, high=LARGEST_WIDTH)
    # The convolutions have biases, as torch gives them; nothing of the tower is quantized.
    projector = part(
        plain("vit_downsampler", vit.hidden_size * _FIRST, out),
        plain("vit_downsampler2", out * _SECOND, 2 * out),
        plain("vit_large_projector", 2 * out, text.hidden_size, config.flag("projector_bias", True)),
    )
    tokens = vit.num_patches // _MERGE
    facts = tower(vit, tokens, largest=LARGEST_ITEM, data_parallel=True)
    return join(text, (*_vit(vit), projector), facts)


def _vit(vit: Vit) -> tuple[Section, ...]:
    root, width = "vision_model", vit.hidden_size
    layer = clip_layer(f"{root}.transformer.layers.*", width, vit.intermediate_size, vit.num_heads)
    return (
        part(
            vector(f"{root}.embeddings.class_embedding", width),
            plain(f"{root}.embeddings.patch_embedding", vit.pixels, width),
            table(f"{root}.embeddings.position_embedding", vit.num_patches + 1, width),
        ),
        kept(table(f"{root}.embeddings.position_ids", 1, vit.num_patches + 1, "int64")),
        part(*(replace(module, quantizable=False) for module in layer), repeats=vit.num_layers),
    )


FAMILY: Family = Family(
    "step3_vl",
    ("Step3VLForConditionalGeneration",),
    _describe,
    # step3_vl.py, hf_to_vllm_mapper.
    (("model.", "language_model.model."), ("lm_head.", "language_model.lm_head.")),
)
