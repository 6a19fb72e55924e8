"""LLaVA-OneVision: SigLIP, a two-layer projector and Qwen2 (vLLM 0.32: model_executor/models/llava_onevision.py)."""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, Stage
from modelserving.models.families import qwen2
from modelserving.models.families.dense import describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.siglip import Siglip, read_siglip, tower_sections, vision_tower
from modelserving.models.fields import Fields, InvalidFieldError

# `anyres_max_9`: at most nine tiles and the whole image (transformers LlavaOnevisionConfig, vision_aspect_ratio).
MAX_TILES = 10
MODALITIES = ("image", "video")


def join(text: Description, siglip: Siglip) -> Description:
    """Put tower, projector and language model together, in the order vLLM builds them."""
    newline = Module("image_newline", Split.REPLICATED, 1, (text.hidden_size,))
    return replace(
        text,
        sections=(Section(Stage.EVERY, (newline,)), *tower_sections(siglip, text.hidden_size), *text.sections),
        vision=vision_tower(siglip, MAX_TILES, MODALITIES),
    )


def _describe(config: Fields) -> Description:
    text = config.required_part("text_config")
    if (kind := text.text("model_type", "qwen2")) != "qwen2":
        raise InvalidFieldError(f"text_config.model_type is {kind[:60]!r}; LLaVA-OneVision is known with qwen2 only")
    vision = config.required_part("vision_config")
    if (kind := vision.text("model_type", "siglip_vision_model")) != "siglip_vision_model":
        raise InvalidFieldError(
            f"vision_config.model_type is {kind[:60]!r}; LLaVA-OneVision is known with siglip_vision_model only"
        )
    decoder = describe_dense(text, qwen2.DECODER, prefix="language_model.")
    return join(decoder, read_siglip(vision, config.wholes("vision_feature_layer", -1, low=-512, high=511)))


FAMILY = Family(
    name="llava_onevision",
    architectures=("LlavaOnevisionForConditionalGeneration",),
    describe=_describe,
    # llava_onevision.py, hf_to_vllm_mapper: names as saved by transformers 4.52 and later; older ones are vLLM's own.
    prefixes=(
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("model.image_newline", "image_newline"),
        ("lm_head.", "language_model.lm_head."),
    ),
    # The tower stops at the feature layer, so its post-norm and pooling head are left on disk.
    unused=("vision_tower.vision_model.post_layernorm.", "vision_tower.vision_model.head."),
)
