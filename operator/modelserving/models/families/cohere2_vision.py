"""Command A Vision: SigLIP, pixel shuffle, a gated projector and Cohere 2 (vLLM 0.32: models/cohere2_vision.py)."""

from dataclasses import replace

from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import merged, row
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.siglip import read_siglip, tower_only, vision_tower
from modelserving.models.families.towers import LARGEST_WIDTH, join, part
from modelserving.models.fields import Fields

# Tiles of the largest image, the whole one besides (Cohere2VisionImageProcessor, max_patches).
_TILES = 13


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), ties(config, True), model_type="cohere2")
    siglip = read_siglip(config.required_part("vision_config"), (-1,))
    shuffle = config.whole("downsample_factor", 2, high=64) ** 2
    inner = config.whole("alignment_intermediate_size", 36864, high=4 * LARGEST_WIDTH)
    # The projector's first layer is gated: both halves are stored joined and cut one by one.
    half = inner // 2
    both = merged("multi_modal_projector.linear_1", siglip.hidden_size * shuffle, (half, half), ("linear_1",), True)
    projector = part(
        replace(both, quantizable=False),
        row("multi_modal_projector.linear_2", half, text.hidden_size, True, quantizable=False),
    )
    tokens = siglip.num_patches // shuffle
    facts = replace(vision_tower(siglip, 1, ("image",)), tokens_per_image=tokens, max_tokens_per_item=_TILES * tokens)
    return join(text, (*tower_only(siglip, post_norm=True), projector), facts)


FAMILY: Family = Family(
    name="cohere2_vision",
    architectures=("Cohere2VisionForConditionalGeneration",),
    describe=_describe,
    # cohere2_vision.py, hf_to_vllm_mapper.
    prefixes=(
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("lm_head.", "language_model.lm_head."),
    ),
)
