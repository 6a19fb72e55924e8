"""Decoders that run their layers more than once, with a cache for each time: IQuest's loop coder, HRM Text.

Source: vLLM 0.32 model_executor/models/iquest_loopcoder.py, hrm_text.py. Neither can be cut into pipeline stages.
"""

from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage
from modelserving.models.families.decoder import Decoder, put_together, read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import attention_scales, column, gated_mlp, merged, rope_cache, row
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_IQUEST = DenseDecoder(head_dim_key=False)
_LOOPS, _LOOP_WINDOW, _MOST_LOOPS = 2, 64, 64
# Defaults: transformers HrmTextConfig.
_HRM = {
    "vocab_size": 151808,
    "hidden_size": 1536,
    "intermediate_size": 4096,
    "num_hidden_layers": 16,
    "num_attention_heads": 12,
    "head_dim": 128,
}
_HRM_POSITIONS, _HIGH, _LOW = 2048, 2, 3


def _iquest(config: Fields) -> Description:
    """Later runs look back on everything through the first one's cache, and on a window through their own."""
    shape = read_shape(config, head_dim_key=False)
    described = describe_dense(config.replaced({"sliding_window": None}), _IQUEST)
    loops = config.whole("loop_num", _LOOPS, high=_MOST_LOOPS)
    window = config.whole("loop_window_size", _LOOP_WINDOW)
    everything, size = tuple(range(shape.num_layers)), shape.head_size
    local = AttentionGroup(
        AttentionKind.SLIDING_WINDOW, everything, shape.num_heads, shape.num_kv_heads, size, size, window
    )
    name = "model.gate_projections.*"
    gate = replace(column(f"{name}.gate_proj", size, shape.num_heads, True), sources=(name,))
    more = (
        Section(Stage.LAYERS, (gate,), layers=everything),
        *(attention_scales("model.layers.*.self_attn.attn", everything) for _ in range(loops - 1)),
    )
    return replace(
        described,
        sections=(*described.sections, *more),
        attention=(*described.attention, *(local,) * (loops - 1)),
        supports_pipeline=False,
    )


def _hrm(config: Fields) -> Description:
    """Two stacks of layers without weights in their norms; the low one runs so many times in each run of the high one."""
    high, low = (
        config.whole(key, default, high=_MOST_LOOPS) for key, default in (("H_cycles", _HIGH), ("L_cycles", _LOW))
    )
    named = config
    if (stack := config.optional_whole("num_layers_per_stack")) is not None:
        named = config.replaced({"num_hidden_layers": stack})
    shape = read_shape(named.replaced({"num_key_value_heads": None}), _HRM)
    rope = read_rope(config, _HRM_POSITIONS)
    width, size, inner = shape.hidden_size, shape.head_size, shape.num_heads * shape.head_size
    bias, count = config.flag("attention_bias"), shape.num_layers

    def layer(index: int) -> tuple[Module, ...]:
        name = f"model.{'L' if index < count else 'H'}_module.layers.*"
        joined = merged(f"{name}.self_attn.gqkv_proj", width, (inner,) * 4, ("gqkv_proj",), bias)
        return (
            joined,
            row(f"{name}.self_attn.o_proj", inner, width, bias),
            *gated_mlp(f"{name}.mlp", width, shape.intermediate_size, config.flag("mlp_bias"), "gate_up_proj"),
        )

    stacks = (tuple(range(count)), tuple(range(count, 2 * count)))
    groups = tuple(
        AttentionGroup(AttentionKind.FULL, layers, shape.num_heads, shape.num_heads, size, size)
        for layers, times in zip(stacks, (high * low, high), strict=True)
        for _ in range(times)
    )
    first = Section(Stage.EVERY, (Module("model.z_L_init", Split.REPLICATED, 1, (width,)),))
    described = put_together(
        Decoder(
            shape=replace(shape, num_layers=2 * count),
            rope=rope,
            layer=layer,
            attention=groups,
            tied=config.flag("tie_word_embeddings"),
            buffers=(rope_cache(rope.cache_rows, size), first),
            final_norm="",
        )
    )
    # The high stack counts its layers from 0, too.
    sections = (
        replace(section, stage=Stage.EVERY, layers=(), repeats=count)
        if section.modules[0].name.startswith("model.H_module.")
        else section
        for section in described.sections
    )
    return replace(described, sections=tuple(sections), supports_pipeline=False)


FAMILIES = (
    Family(
        "iquest_loop_coder",
        ("IQuestLoopCoderForCausalLM",),
        _iquest,
        (("gate_projections.", "model.gate_projections."),),
    ),
    Family("hrm_text", ("HrmTextForCausalLM",), _hrm, renames=((".attn.", ".self_attn."),)),
)
