"""Granite with windows and sinks: a full layer to three windows, and a rotary base of its own for each layer.

Source: vLLM 0.32 model_executor/models/granite.py (`granite_layer_attn_params`), granitemoeshared.py.
"""

from collections.abc import Callable
from dataclasses import replace
from math import inf

from modelserving.models.facts import Section, Stage
from modelserving.models.families import granite_moe, more_dense
from modelserving.models.families.decoder import read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import rope_cache, sharded_vector
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# Defaults: transformers GraniteSWAConfig.
_DECODER = replace(
    more_dense.GRANITE_DECODER,
    defaults={
        "hidden_size": 2560,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 20,
        "num_key_value_heads": 4,
        "vocab_size": 100352,
        "max_position_embeddings": 8192,
    },
    tied=True,
)
_WINDOW, _PATTERN = 128, 4
_FULL, _SLIDING = "full_attention", "sliding_attention"


def _dense(config: Fields) -> Description:
    return _with_windows(config, _DECODER, lambda named: describe_dense(named, _DECODER))


def _mixture(config: Fields) -> Description:
    return _with_windows(config, granite_moe.DECODER, granite_moe.describe_shared)


def _with_windows(config: Fields, decoder: DenseDecoder, describe: Callable[[Fields], Description]) -> Description:
    shape = read_shape(config, decoder.defaults)
    kinds = config.texts("layer_types") or tuple(
        _SLIDING if index % _PATTERN else _FULL for index in range(shape.num_layers)
    )
    if len(kinds) < shape.num_layers:
        raise config.fail("layer_types", f"a list of {shape.num_layers} texts")
    slides = _SLIDING in kinds[: shape.num_layers]
    window = config.whole("sliding_window", _WINDOW) if slides else None
    described = describe(config.replaced({"layer_types": list(kinds), "sliding_window": window}))
    sinks = config.flag("attention_sinks", True)
    sections = tuple(_with_sinks(section, shape.num_heads) if sinks else section for section in described.sections)
    rope = rope_cache(read_rope(config, decoder.defaults["max_position_embeddings"]).cache_rows, shape.head_size)
    caches = (rope,) * _bases(config, shape.num_layers)
    return replace(
        described,
        sections=(*(section for section in sections if section != rope), *caches),
        attention=tuple(replace(group, sinks=sinks) for group in described.attention),
    )


def _with_sinks(section: Section, heads: int) -> Section:
    if section.stage is not Stage.LAYERS or section.buffers:
        return section
    sinks = sharded_vector("model.layers.*.self_attn.sinks", heads)
    return replace(section, modules=(*section.modules, sinks))


def _bases(config: Fields, num_layers: int) -> int:
    """Rotary bases that differ, each with a cache; layers of base 0 have no positions."""
    stated = config.raw("layer_rope_theta")
    if stated is None:
        return 1
    if not isinstance(stated, list | tuple) or len(stated) < num_layers or not all(_is_base(base) for base in stated):
        raise config.fail("layer_rope_theta", f"a list of {num_layers} numbers from 0 on")
    return len(set(stated[:num_layers]) - {0})


def _is_base(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf


FAMILIES = (
    Family("granite_swa", ("GraniteSWAForCausalLM",), _dense),
    Family("granitemoe_swa", ("GraniteMoeSWAForCausalLM",), _mixture, renames=granite_moe.RENAMES),
)
