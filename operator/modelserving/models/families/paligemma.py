"""PaliGemma 1 and 2: SigLIP, one linear layer and Gemma (vLLM 0.32: model_executor/models/paligemma.py)."""

from dataclasses import replace

from modelserving.models.families.family import Description, Family
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.pooling import headless, scoring, with_head
from modelserving.models.families.siglip import read_siglip, tower_only, vision_tower
from modelserving.models.families.towers import join, part, plain
from modelserving.models.fields import Fields

_COLPALI_WIDTH = 128
_ARCHITECTURES = {"gemma": "GemmaForCausalLM", "gemma2": "Gemma2ForCausalLM"}


def _describe(config: Fields) -> Description:
    inner = config.required_part("text_config")
    kind = inner.text("model_type", "gemma")
    text = language_model(inner, ties(config, True), _ARCHITECTURES.get(kind, ""), "gemma")
    siglip = read_siglip(config.required_part("vision_config"), (-1,))
    width = config.required_part("vision_config").whole("projection_dim", text.hidden_size, high=2**16)
    projector = part(plain("multi_modal_projector.linear", siglip.hidden_size, width))
    tower = vision_tower(siglip, 1, ("image",))
    tower = replace(tower, tokens_per_image=siglip.num_patches)
    return join(text, (*tower_only(siglip, post_norm=True), projector), tower)


def _retrieval(config: Fields) -> Description:
    """ColPali: a vector for every token (colpali.py)."""
    inner = config.part("vlm_config") or config
    described = headless(_describe(inner))
    width = config.whole("embedding_dim", _COLPALI_WIDTH, high=2**16)
    return with_head(described, scoring("custom_text_proj", described.hidden_size, width, bias=False))


COLPALI: Family = Family("colpali", ("ColPaliForRetrieval",), _retrieval)
FAMILY: Family = Family(
    name="paligemma",
    architectures=("PaliGemmaForConditionalGeneration",),
    describe=_describe,
    # paligemma.py, hf_to_vllm_mapper.
    prefixes=(
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("lm_head.", "language_model.lm_head."),
    ),
)
