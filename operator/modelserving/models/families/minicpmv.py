"""MiniCPM-V 2.5 to 4.5: a SigLIP of any resolution, a resampler and Llama or Qwen (vLLM 0.32: models/minicpmv.py)."""

from modelserving.models.facts import Section
from modelserving.models.families import idefics
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm, replicated
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import Vit, join, kept, part, plain, read_vit, table, tower, vector
from modelserving.models.fields import Fields

# transformers SiglipVisionConfig.
_DEFAULTS = Vit(768, 3072, 12, 12, 224, 16)
# Language model by version (minicpmv.py, _SUPPORT_VERSION); the keys are tenths.
_LANGUAGE = {
    25: "LlamaForCausalLM",
    26: "Qwen2ForCausalLM",
    40: "LlamaForCausalLM",
    45: "Qwen3ForCausalLM",
}
# Side of the grid of positions, and how many moments version 4.5 tells apart (Resampler2_5, Resampler4_5).
_GRID, _MOMENTS = 70, 36000
_WITH_MOMENTS = 45
# Slices of the largest image, the whole one besides (slice_config.max_slice_nums).
_TILES = 10
_MODALITIES = ("image", "video")


def _describe(config: Fields) -> Description:
    version = round(10 * config.number("version", 2.6, 0, 100))
    architecture = _LANGUAGE.get(version)
    if architecture is None:
        raise config.fail("version", f"one of {', '.join(str(known / 10) for known in _LANGUAGE)}")
    text = language_model(config, None, architecture, prefix="llm.")
    vit = read_vit(config.required_part("vision_config"), _DEFAULTS)
    queries = config.whole("query_num", 64, high=2**16)
    layers = max(1, vit.num_layers - config.flag("drop_vision_last_layer", True))
    parts = (*idefics.vit_sections(vit, "vpm", layers), *_resampler(vit, text.hidden_size, queries, version))
    facts = tower(vit, queries, _MODALITIES, _TILES * queries, data_parallel=True)
    return join(text, parts, facts)


def _resampler(vit: Vit, width: int, queries: int, version: int) -> tuple[Section, ...]:
    """Attention of learned queries over all patches, torch's own."""
    name = "resampler"
    modules = (
        table(f"{name}.query", queries, width),
        table(f"{name}.proj", width, width),
        replicated(f"{name}.kv_proj", vit.hidden_size, width),
        table(f"{name}.attn.in_proj_weight", 3 * width, width),
        vector(f"{name}.attn.in_proj_bias", 3 * width),
        plain(f"{name}.attn.out_proj", width, width),
        *(norm(f"{name}.{key}", width, True) for key in ("ln_q", "ln_kv", "ln_post")),
    )
    buffers = [table(f"{name}.pos_embed", _GRID**2, width)]
    if version == _WITH_MOMENTS:
        buffers.append(table(f"{name}.temporal_pos_embed", _MOMENTS, width))
    return (part(*modules), kept(*buffers))


FAMILY: Family = Family("minicpmv", ("MiniCPMV",), _describe)
