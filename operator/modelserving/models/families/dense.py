"""Decoders with grouped-query attention: the modules that Llama and its relatives share.

Source: vLLM 0.32 model_executor/models/llama.py, qwen2.py, qwen3.py: fused qkv_proj and gate_up_proj, two RMSNorms a
layer, one rope cache a rank.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section, Split
from modelserving.models.families.decoder import Decoder, Shape, layers_where, put_together, read_shape
from modelserving.models.families.family import Description
from modelserving.models.families.layers import (
    column,
    gated_mlp,
    norm,
    plain_mlp,
    qkv,
    rope_cache,
    rope_frequencies,
    row,
)
from modelserving.models.fields import Fields
from modelserving.models.rope import Rope, read_rope

# What transformers puts before the names of frequencies, by kind of layer.
_KINDS = {AttentionKind.FULL: "full_attention_", AttentionKind.SLIDING_WINDOW: "sliding_attention_"}
# What a layer has after its attention: (index, name of the layer) -> modules.
FeedForward = Callable[[int, str], tuple[Module, ...]]


@dataclass(frozen=True, slots=True)
class DenseDecoder:
    """What tells one family with grouped-query attention from another.

    Attributes:
        defaults: transformers' defaults for keys that config.json may leave out.
        qkv_bias: whether query, key and value have a bias: a constant, or the config key that says so.
        output_bias: the same for the attention's output.
        mlp_bias: the same for the MLP.
        qk_norm: whether queries and keys are normed: `head` by one norm of a head's size, `biased` the same
            with a bias, `heads` by one for each head,
            `all` by one over all heads that every rank has whole.
        head_dim_key: whether `head_dim` in config.json counts; otherwise it is hidden_size / heads.
        sliding_window_switch: config key that must be true for `sliding_window` to count; empty: it always counts.
        sliding_pattern: every so many-th layer looks back on everything where `layer_types` is absent; 0: all slide.
        norms: names of a layer's norms.
        tied: whether embeddings are tied where config.json does not say.
        norm_bias: whether norms have biases.
        head_bias: whether the output head has one.
        mlp: `gated`; `joined` where gate and up are stored as one; `plain` without a gate.
        rope: what is kept of the rotary embedding: `cache`; in the transformers backend `frequencies`, or those
            `by_kind` of layers; `none`.
        default_partial: share of a head that is rotated where config.json has none.
        final_norm: whether the decoder ends with one that has a weight.
        output_gate: name of a projection that gates the output of attention, as wide as the queries; empty for none.
        attention_name, output_name: a layer's names of attention and of its output projection.
        qkv_parts: names of query, key and value in the checkpoint; one where they are stored joined.
        mrope_stretch: how much longer the cache of a multimodal rope is (layers/rotary_embedding/mrope.py).
    """

    defaults: Mapping[str, int] = field(default_factory=dict)
    qkv_bias: bool | str = False
    output_bias: bool | str = False
    mlp_bias: bool | str = False
    qk_norm: str = ""
    head_dim_key: bool = True
    sliding_window_switch: str = ""
    sliding_pattern: int = 0
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")
    norm_bias: bool = False
    tied: bool = False
    head_bias: bool = False
    mlp: str = "gated"
    rope: str = "cache"
    default_partial: float = 1.0
    final_norm: bool = True
    output_gate: str = ""
    attention_name: str = "self_attn"
    output_name: str = "o_proj"
    qkv_parts: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    mrope_stretch: int = 4


def describe_dense(
    config: Fields,
    decoder: DenseDecoder,
    prefix: str = "",
    feed_forward: FeedForward | None = None,
    experts: Experts | None = None,
    buffers: tuple[Section, ...] = (),
) -> Description:
    """Describe a decoder with grouped-query attention.

    Args:
        config: the language model's part of config.json.
        decoder: what is particular to the family.
        prefix: what vLLM puts before the names of this language model's modules.
        feed_forward: what follows attention, where that is no MLP.
        experts: routed experts, if feed_forward has any.
        buffers: what it keeps besides the rope cache.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    shape = read_shape(config, decoder.defaults, decoder.head_dim_key)
    rope = read_rope(config, decoder.defaults.get("max_position_embeddings"), decoder.default_partial)
    follow = feed_forward or _mlp(config, decoder, shape)
    root = f"{prefix}model.layers.*"
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: (
                *attention_modules(config, decoder, shape, root),
                *follow(index, root),
                *(norm(f"{root}.{name}", shape.hidden_size, decoder.norm_bias) for name in decoder.norms),
            ),
            attention=attention_groups(config, decoder, shape),
            tied=config.flag("tie_word_embeddings", decoder.tied),
            prefix=prefix,
            buffers=(*_caches(config, decoder, shape, rope), *buffers),
            final_norm="norm" if decoder.final_norm else "",
            norm_bias=decoder.norm_bias,
            head_bias=decoder.head_bias,
            experts=experts,
        )
    )


def _mlp(config: Fields, decoder: DenseDecoder, shape: Shape) -> FeedForward:
    bias = _bias(config, decoder.mlp_bias)
    width, inner = shape.hidden_size, shape.intermediate_size
    if decoder.mlp == "plain":
        return lambda index, root: plain_mlp(f"{root}.mlp", width, inner, bias)
    joined = "gate_up_proj" if decoder.mlp == "joined" else ""
    return lambda index, root: gated_mlp(f"{root}.mlp", width, inner, bias, joined)


def _caches(config: Fields, decoder: DenseDecoder, shape: Shape, rope: Rope) -> tuple[Section, ...]:
    if decoder.rope == "none":
        return ()
    rotary = max(2, int(shape.head_size * rope.partial_rotary_factor))
    if decoder.rope == "frequencies":
        return (rope_frequencies(rotary),)
    if decoder.rope == "by_kind":
        found = {group.kind for group in attention_groups(config, decoder, shape)}
        return (rope_frequencies(rotary, tuple(_KINDS[kind] for kind in _KINDS if kind in found)),)
    rows = rope.cache_rows * (decoder.mrope_stretch if rope.is_multimodal else 1)
    return (rope_cache(rows, rotary),)


def _bias(config: Fields, rule: bool | str) -> bool:
    return config.flag(rule) if isinstance(rule, str) else rule


def attention_modules(config: Fields, decoder: DenseDecoder, shape: Shape, root: str) -> tuple[Module, ...]:
    """Projections of an attention layer and the norms of its queries and keys."""
    name = f"{root}.{decoder.attention_name}"
    heads = (shape.num_heads, shape.num_kv_heads)
    width = shape.num_heads * shape.head_size
    projections: tuple[Module, ...] = (
        qkv(
            f"{name}.qkv_proj",
            shape.hidden_size,
            heads,
            (shape.head_size, shape.head_size),
            _bias(config, decoder.qkv_bias),
            decoder.qkv_parts,
        ),
        row(f"{name}.{decoder.output_name}", width, shape.hidden_size, _bias(config, decoder.output_bias)),
    )
    if decoder.output_gate:
        projections += (column(f"{name}.{decoder.output_gate}", shape.hidden_size, width),)
    return (*projections, *_query_norms(decoder, shape, name))


def _query_norms(decoder: DenseDecoder, shape: Shape, name: str) -> tuple[Module, ...]:
    counts, size = (("q", shape.num_heads), ("k", shape.num_kv_heads)), shape.head_size
    if decoder.qk_norm in ("head", "biased"):
        return tuple(norm(f"{name}.{part}_norm", size, decoder.qk_norm == "biased") for part, _ in counts)
    if decoder.qk_norm == "all":
        return tuple(norm(f"{name}.{part}_norm", heads * size) for part, heads in counts)
    if decoder.qk_norm == "heads":
        return tuple(Module(f"{name}.{part}_norm", Split.QKV, size, (heads,), heads=(heads,)) for part, heads in counts)
    return ()


def attention_groups(config: Fields, decoder: DenseDecoder, shape: Shape) -> tuple[AttentionGroup, ...]:
    """Layers by what they look back on: as transformers fills in `layer_types`, as vLLM's Attention reads it."""
    window = config.optional_whole("sliding_window", low=0) or None
    if not config.has("sliding_window"):
        window = decoder.defaults.get("sliding_window")
    if decoder.sliding_window_switch and not config.flag(decoder.sliding_window_switch):
        window = None
    sliding = sliding_layers(config, decoder, shape.num_layers) if window else ()
    full = tuple(sorted(set(range(shape.num_layers)) - set(sliding)))
    groups: tuple[tuple[AttentionKind, tuple[int, ...], int | None], ...]
    groups = ((AttentionKind.FULL, full, None), (AttentionKind.SLIDING_WINDOW, sliding, window))
    if not config.flag("is_causal", True):
        # llama.py, qwen2.py, qwen3.py, gemma3.py: every token sees every other, and nothing is kept.
        groups = ((AttentionKind.ENCODER_ONLY, tuple(range(shape.num_layers)), None),)
    return tuple(
        AttentionGroup(kind, layers, shape.num_heads, shape.num_kv_heads, shape.head_size, shape.head_size, look_back)
        for kind, layers, look_back in groups
        if layers
    )


def sliding_layers(config: Fields, decoder: DenseDecoder, num_layers: int) -> tuple[int, ...]:
    """Layers that look back on a window only."""
    kinds = config.texts("layer_types")
    if len(set(kinds)) > 1:
        return tuple(index for index, kind in enumerate(kinds[:num_layers]) if kind == "sliding_attention")
    if decoder.sliding_window_switch and (first := config.optional_whole("max_window_layers", low=0)) is not None:
        # Qwen: layers before max_window_layers look back on everything; where none is left, all layers slide.
        return tuple(range(first if first < num_layers else 0, num_layers))
    if not kinds and decoder.sliding_pattern:
        pattern = config.whole("sliding_window_pattern", decoder.sliding_pattern, high=1024)
        return layers_where(num_layers, lambda index: (index + 1) % pattern != 0)
    return tuple(range(num_layers))
