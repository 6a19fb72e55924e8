"""MiniCPM-V 2.5 to 4.5 and MiniCPM-o: a SigLIP of any resolution, a resampler and Llama or Qwen; MiniCPM-o hears besides.

Source: vLLM 0.32 model_executor/models/minicpmv.py, minicpmo.py.
"""

from dataclasses import replace

from modelserving.models.facts import Section
from modelserving.models.families import idefics
from modelserving.models.families.audio import AUDIO, read_ear, whole_encoder
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
# Versions of MiniCPM-o (minicpmo.py, _MINICPMO_SUPPORT_VERSION), and by how much its projector narrows the encoder's MLP.
_HEARING = (26, 45)
_NARROWED = 4
# Slices of the largest image, the whole one besides (slice_config.max_slice_nums).
_TILES = 10
_MODALITIES = ("image", "video")


def _version(config: Fields, known: tuple[int, ...]) -> int:
    """Its version in tenths: a number, or a text that holds one."""
    value = config.raw("version")
    if isinstance(value, str) and len(value) < 9 and value.replace(".", "", 1).isdecimal() and value.isascii():
        config = config.having(version=float(value))
    version = round(10 * config.number("version", 2.6, 0, 100))
    if version not in known:
        raise config.fail("version", f"one of {', '.join(str(each / 10) for each in known)}")
    return version


def _describe(config: Fields) -> Description:
    return _seeing(config, _version(config, tuple(_LANGUAGE)))


def _hearing(config: Fields) -> Description:
    text = _seeing(config, _version(config, _HEARING))
    ear = read_ear(config.required_part("audio_config"))
    width = text.hidden_size
    front = (
        table("apm.embed_positions", ear.positions, ear.hidden_size),
        plain("audio_projection_layer.linear1", max(1, ear.intermediate_size // _NARROWED), width),
        plain("audio_projection_layer.linear2", width, width),
    )
    ears = (*whole_encoder(ear, "apm", "layer_norm"), part(*front, modalities=AUDIO))
    facts = text.vision
    if facts is not None:
        facts = replace(facts, modalities=(*_MODALITIES, *AUDIO))
    eyes = tuple(replace(each, modalities=_MODALITIES) if each.tower else each for each in text.sections)
    return replace(text, sections=(*ears, *eyes), vision=facts)


def _seeing(config: Fields, version: int) -> Description:
    architecture = _LANGUAGE[version]
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
MINICPMO: Family = Family("minicpmo", ("MiniCPMO",), _hearing, unused=("tts.",))
