"""MiniCPM-V 4.6: a SigLIP of any resolution, attention and MLPs that join its patches, Qwen 3.5.

Source: vLLM 0.32 model_executor/models/minicpmv4_6.py, idefics2_vision_model.py.
"""

from modelserving.models.facts import Section
from modelserving.models.families import idefics
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import Vit, attention, join, part, plain, read_vit, tower
from modelserving.models.fields import Fields

# transformers MiniCPMV4_6VisionConfig.
_VISION = Vit(1152, 4304, 27, 16, 980, 14)
# Patches that each of its two mergers joins.
_MERGE = 4
# Slices of the largest image, the whole one besides, of 448 x 448 pixels (slice_config.max_slice_nums).
_TILES, _SLICE = 10, 448


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), ties(config, True), "Qwen3_5ForCausalLM")
    vit = read_vit(config.part("vision_config") or Fields({}, "vision_config"), _VISION)
    layers = max(1, vit.num_layers - config.flag("drop_vision_last_layer"))
    parts = (*idefics.vit_sections(vit, "vpm", layers), _window(vit), _merger(vit, text.hidden_size))
    tokens = max(1, (_SLICE // vit.patch_size) ** 2 // _MERGE**2)
    return join(text, parts, tower(vit, tokens, ("image", "video"), _TILES * tokens, data_parallel=True))


def _window(vit: Vit) -> Section:
    """Attention inside windows, which is cut, and an MLP of torch's own (MiniCPMV4_6ViTWindowAttentionMerger)."""
    name, width = "vit_merger", vit.hidden_size
    joined, inner = _MERGE * width, _MERGE * vit.intermediate_size
    return part(
        *attention(f"{name}.self_attn", width, vit.num_heads),
        norm(f"{name}.layer_norm1", width, True),
        norm(f"{name}.pre_norm", joined, True),
        plain(f"{name}.linear_1", joined, inner),
        plain(f"{name}.linear_2", inner, width),
    )


def _merger(vit: Vit, out: int) -> Section:
    name, joined = "merger.mlp.0", _MERGE * vit.hidden_size
    return part(
        norm(f"{name}.pre_norm", joined, True),
        plain(f"{name}.linear_1", joined, joined),
        plain(f"{name}.linear_2", joined, out),
    )


FAMILY: Family = Family(
    "minicpmv4_6",
    ("MiniCPMV4_6ForConditionalGeneration",),
    _describe,
    # minicpmv4_6.py, hf_to_vllm_mapper.
    (
        ("model.vision_tower.vit_merger.", "vit_merger."),
        ("model.vision_tower.", "vpm."),
        ("model.vpm.", "vpm."),
        ("model.vit_merger.", "vit_merger."),
        ("model.merger.", "merger."),
        ("model.language_model.", "language_model.model."),
        ("lm_head.", "language_model.lm_head."),
    ),
    unused=("mtp.", "model.mtp."),
)
