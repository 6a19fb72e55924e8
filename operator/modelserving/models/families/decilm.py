"""Nemotron found by architecture search: Llama whose layers differ, some without attention or MLP.

Source: vLLM 0.32 model_executor/models/nemotron_nas.py.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Module
from modelserving.models.families import llama
from modelserving.models.families.decoder import (
    LARGEST_WIDTH,
    MOST_HEADS,
    Decoder,
    put_together,
    read_shape,
)
from modelserving.models.families.dense import attention_modules
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp, norm, rope_cache
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope
from modelserving.units import round_up

# An MLP's width is a multiple of this (_ffn_mult_to_intermediate_size).
_WIDTH_MULTIPLE = 256
_LARGEST_FACTOR = 64.0
_ROOT = "model.layers.*"


def _describe(config: Fields) -> Description:
    blocks = _blocks(config)
    heads = config.whole("num_attention_heads", high=MOST_HEADS)
    groups = tuple(_kv_heads(block, heads) for block in blocks)
    widths = tuple(_width(block, config) for block in blocks)
    named = config.replaced({"intermediate_size": max((*widths, 1)), "num_key_value_heads": max((*groups, 1))})
    shape = read_shape(named)
    decoder = llama.biased(config)
    rope = read_rope(config, llama.DECODER.defaults["max_position_embeddings"])
    bias = config.flag("mlp_bias")

    def layer(index: int) -> tuple[Module, ...]:
        modules: tuple[Module, ...] = ()
        if groups[index]:
            held = read_shape(named.replaced({"num_key_value_heads": groups[index]}))
            modules += (
                *attention_modules(config, decoder, held, _ROOT),
                norm(f"{_ROOT}.input_layernorm", shape.hidden_size),
            )
        if widths[index]:
            modules += (
                *gated_mlp(f"{_ROOT}.mlp", shape.hidden_size, widths[index], bias),
                norm(f"{_ROOT}.post_attention_layernorm", shape.hidden_size),
            )
        return modules

    by_count: dict[int, list[int]] = {}
    for index, count in enumerate(groups):
        by_count.setdefault(count, []).append(index)
    size = shape.head_size
    kept = tuple(
        AttentionGroup(AttentionKind.FULL, tuple(layers), heads, count, size, size)
        for count, layers in by_count.items()
        if count
    )
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=kept,
            tied=config.flag("tie_word_embeddings"),
            buffers=(rope_cache(rope.cache_rows, size),),
        )
    )


def _blocks(config: Fields) -> tuple[Fields, ...]:
    count = config.whole("num_hidden_layers", high=1024)
    content = config.raw("block_configs")
    if not isinstance(content, list) or len(content) < count:
        raise config.fail("block_configs", f"a list of {count} objects")
    items = Fields({f"block_configs[{index}]": item for index, item in enumerate(content[:count])})
    return tuple(items.required_part(f"block_configs[{index}]") for index in range(count))


def _kv_heads(block: Fields, heads: int) -> int:
    """Key and value heads of a layer; 0 where it has no attention."""
    attention = block.required_part("attention")
    if attention.flag("no_op") or attention.flag("replace_with_linear"):
        return 0
    return heads // attention.whole("n_heads_in_group", high=heads)


def _width(block: Fields, config: Fields) -> int:
    """Width of a layer's MLP; 0 where it has none."""
    mlp = block.required_part("ffn")
    if mlp.flag("no_op") or mlp.flag("replace_with_linear"):
        return 0
    if mlp.raw("ffn_mult") is None:
        return mlp.whole("intermediate_size", high=LARGEST_WIDTH)
    hidden = config.whole("hidden_size", high=LARGEST_WIDTH)
    return round_up(int(2 * mlp.number("ffn_mult", 1.0, 0.001, _LARGEST_FACTOR) * hidden / 3), _WIDTH_MULTIPLE)


FAMILY = Family("decilm", ("DeciLMForCausalLM",), _describe)
