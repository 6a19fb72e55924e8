"""Olmo Hybrid: gated delta nets and attention with norms of its own in turn (vLLM 0.32: model_executor/models/olmo_hybrid.py)."""

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Split
from modelserving.models.families.decoder import Decoder, layers_where, put_together, read_shape
from modelserving.models.families.delta_net import DeltaNet, delta_net_group, read_delta_net
from modelserving.models.families.dense import DenseDecoder, attention_modules
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, rope_cache, row, sharded_vector
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# Defaults: transformers OlmoHybridConfig.
_DECODER = DenseDecoder(
    defaults={
        "hidden_size": 3840,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 30,
        "vocab_size": 100352,
        "max_position_embeddings": 65536,
    },
    qk_norm="all",
)
_DELTA = {
    "linear_num_key_heads": 30,
    "linear_num_value_heads": 30,
    "linear_key_head_dim": 96,
    "linear_value_head_dim": 192,
}
_ROOT = "model.layers.*"
_PERIOD = 4


def _describe(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    rope = read_rope(config, _DECODER.defaults["max_position_embeddings"])
    net = read_delta_net(config.replaced({key: config.raw(key) or value for key, value in _DELTA.items()}), False)
    kinds = config.texts("layer_types")
    if kinds and len(kinds) < shape.num_layers:
        raise config.fail("layer_types", f"a list of {shape.num_layers} texts")
    full = layers_where(
        shape.num_layers,
        lambda index: kinds[index] == "full_attention" if kinds else (index + 1) % _PERIOD == 0,
    )
    width = shape.hidden_size

    def layer(index: int) -> tuple[Module, ...]:
        mlp = gated_mlp(f"{_ROOT}.mlp", width, shape.intermediate_size)
        if index in full:
            names = ("post_attention_layernorm", "post_feedforward_layernorm")
            first = attention_modules(config, _DECODER, shape, _ROOT)
        else:
            names = ("input_layernorm", "post_attention_layernorm")
            first = _delta(net, width, f"{_ROOT}.linear_attn")
        return (*first, *mlp, *(norm(f"{_ROOT}.{name}", width) for name in names))

    size = shape.head_size
    groups = (
        delta_net_group(net, layers_where(shape.num_layers, lambda index: index not in full)),
        AttentionGroup(AttentionKind.FULL, full, shape.num_heads, shape.num_kv_heads, size, size),
    )
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=tuple(group for group in groups if group.layers),
            tied=config.flag("tie_word_embeddings"),
            buffers=(rope_cache(rope.cache_rows, size),) if full else (),
        )
    )


def _delta(net: DeltaNet, width: int, name: str) -> tuple[Module, ...]:
    keys, values = net.key_heads * net.key_dim, net.value_heads * net.value_dim
    into = Module(
        f"{name}.in_proj_qkvg",
        Split.COLUMN,
        width,
        (keys, keys, values, values),
        quantizable=True,
        sources=tuple(f"{name}.{part}_proj" for part in "qkvg"),
    )
    conv = Module(
        f"{name}.conv1d",
        Split.COLUMN,
        net.conv_kernel,
        (keys, keys, values),
        sources=tuple(f"{name}.{part}_conv1d" for part in "qkv"),
    )
    return (
        sharded_vector(f"{name}.dt_bias", net.value_heads),
        sharded_vector(f"{name}.A_log", net.value_heads),
        into,
        column(f"{name}.b_proj", width, net.value_heads),
        column(f"{name}.a_proj", width, net.value_heads),
        conv,
        norm(f"{name}.o_norm", net.value_dim),
        row(f"{name}.o_proj", values, width),
    )


FAMILY = Family("olmo_hybrid", ("OlmoHybridForCausalLM",), _describe)
