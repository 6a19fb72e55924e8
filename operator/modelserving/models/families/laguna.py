"""Laguna: heads by the layer, gates on the attention's output, windows with sinks, experts behind the first layer.

Source: vLLM 0.32 model_executor/models/laguna.py. Defaults: transformers LagunaConfig.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section
from modelserving.models.families.decoder import (
    LARGEST_WIDTH,
    MOST_HEADS,
    Decoder,
    Shape,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, qkv, rope_cache, row, sharded_vector
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_DEFAULTS = {
    "vocab_size": 100352,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 40,
    "num_attention_heads": 48,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
}
_WINDOW, _SHARED_SIZE = 512, 512
# Rotated shares where config.json has no rope at all.
_ROTATED = {"full_attention": 0.5, "sliding_attention": 1.0}
_MIXTURE = Mixture(
    default_experts=256,
    default_top_k=8,
    default_intermediate=512,
    correction_bias="experts.e_score_correction_bias",
)
_SLIDING = "sliding_attention"
_ROOT = "model.layers.*"


def _describe(config: Fields) -> Description:
    shape = read_shape(config, _DEFAULTS)
    kinds = _listed(config, "layer_types", "full_attention", shape.num_layers)
    sliding = layers_where(shape.num_layers, lambda index: kinds[index] == _SLIDING)
    heads = _heads(config, shape)
    follows = _listed(config, "mlp_layer_types", "sparse", shape.num_layers)
    if not config.texts("mlp_layer_types"):
        follows = ("dense", *follows[1:])
    found = read_experts(config, _MIXTURE, layers_where(shape.num_layers, lambda index: follows[index] == "sparse"))
    sinks = config.flag("swa_attention_sink_enabled")

    def layer(index: int) -> tuple[Module, ...]:
        return (
            *_attention(config, shape, heads[index], sinks and index in sliding),
            *_follow(config, shape, found, index),
            *(norm(f"{_ROOT}.{name}", shape.hidden_size) for name in ("input_layernorm", "post_attention_layernorm")),
        )

    window = config.whole("sliding_window", _WINDOW)
    alike: dict[tuple[bool, int], list[int]] = {}
    for index in range(shape.num_layers):
        alike.setdefault((index in sliding, heads[index]), []).append(index)
    size = shape.head_size
    groups = tuple(
        AttentionGroup(
            AttentionKind.SLIDING_WINDOW if slides else AttentionKind.FULL,
            tuple(layers),
            queries,
            shape.num_kv_heads,
            size,
            size,
            window if slides else None,
        )
        for (slides, queries), layers in alike.items()
    )
    return put_together(
        Decoder(
            shape=shape,
            rope=read_rope(config, _DEFAULTS["max_position_embeddings"]),
            layer=layer,
            attention=groups,
            tied=config.flag("tie_word_embeddings"),
            buffers=_caches(config, shape, kinds),
            experts=found,
        )
    )


def _listed(config: Fields, key: str, default: str, count: int) -> tuple[str, ...]:
    kinds = config.texts(key) or (default,) * count
    if len(kinds) != count:
        raise config.fail(key, f"a list of {count} texts")
    return kinds


def _heads(config: Fields, shape: Shape) -> tuple[int, ...]:
    """Query heads of each layer."""
    counts = config.wholes("num_attention_heads_per_layer", shape.num_heads, low=1, high=MOST_HEADS)
    if not isinstance(config.raw("num_attention_heads_per_layer"), list):
        counts *= shape.num_layers
    if len(counts) != shape.num_layers or any(count % shape.num_kv_heads for count in counts):
        raise config.fail("num_attention_heads_per_layer", f"{shape.num_layers} multiples of {shape.num_kv_heads}")
    return counts


def _attention(config: Fields, shape: Shape, heads: int, sink: bool) -> tuple[Module, ...]:
    name, size, width = f"{_ROOT}.self_attn", shape.head_size, shape.hidden_size
    bias = config.flag("attention_bias")
    gating = config.raw("gating")
    # True stands for one gate a head, as the default does.
    by_head = gating in (None, True, "per-head")
    gate = (column(f"{name}.g_proj", width, heads if by_head else heads * size),) if gating is not False else ()
    return (
        *((sharded_vector(f"{name}.sink", heads),) if sink else ()),
        qkv(f"{name}.qkv_proj", width, (heads, shape.num_kv_heads), (size, size), bias),
        row(f"{name}.o_proj", heads * size, width, bias),
        *gate,
        norm(f"{name}.q_norm", size),
        norm(f"{name}.k_norm", size),
    )


def _mlp(name: str, width: int, inner: int) -> tuple[Module, ...]:
    """An MLP whose gate and up stay apart (LagunaMLP)."""
    return (
        column(f"{name}.gate_proj", width, inner),
        column(f"{name}.up_proj", width, inner),
        row(f"{name}.down_proj", inner, width),
    )


def _follow(config: Fields, shape: Shape, found: Experts, index: int) -> tuple[Module, ...]:
    name, width = f"{_ROOT}.mlp", shape.hidden_size
    if index not in found.layers:
        return _mlp(name, width, shape.intermediate_size)
    shared = config.whole("shared_expert_intermediate_size", _SHARED_SIZE, low=0, high=LARGEST_WIDTH)
    return (
        *mixture_modules(_MIXTURE, found, width, _ROOT),
        *(_mlp(f"{name}.shared_expert", width, shared) if shared else ()),
    )


def _caches(config: Fields, shape: Shape, kinds: tuple[str, ...]) -> tuple[Section, ...]:
    """One cache for each rope that differs; windows have one of their own, in either of two spellings."""
    ropes: dict[tuple[object, ...], Section] = {}
    for kind in dict.fromkeys(kinds):
        own = config.part("rope_parameters") or config.part("rope_scaling") or Fields({})
        nested = own.part("full_attention") if isinstance(own.raw("full_attention"), dict) else None
        found = own if nested is None else own.part(kind) or nested
        if kind == _SLIDING and nested is None and (other := config.part("swa_rope_parameters")) is not None:
            found = other
        bare = not own.names()
        share = _ROTATED.get(kind, 1.0) if bare else 1.0
        rope = read_rope(
            config.replaced({"rope_parameters": {name: found.raw(name) for name in found.names()} or None}),
            _DEFAULTS["max_position_embeddings"],
            share,
        )
        rotary = int(shape.head_size * rope.partial_rotary_factor)
        text = (str(found.raw("rope_theta")), found.text("rope_type"), kind if bare else "", rotary, rope.cache_rows)
        ropes.setdefault(text, rope_cache(rope.cache_rows, rotary))
    return tuple(ropes.values())


FAMILY = Family("laguna", ("LagunaForCausalLM",), _describe)
