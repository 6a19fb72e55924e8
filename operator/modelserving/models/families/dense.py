"""Decoders with grouped-query attention: the modules that Llama and its relatives share.

Source: vLLM 0.32 model_executor/models/llama.py, qwen2.py, qwen3.py: fused qkv_proj and gate_up_proj, two RMSNorms a
layer, one rope cache a rank.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section
from modelserving.models.families.decoder import Decoder, Shape, layers_where, put_together, read_shape
from modelserving.models.families.family import Description
from modelserving.models.families.layers import gated_mlp, norm, qkv, rope_cache, row
from modelserving.models.fields import Fields
from modelserving.models.rope import Rope, read_rope

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
        qk_norm: whether queries and keys are normed: `head` for a norm of one head, `all` for one of all heads.
        head_dim_key: whether `head_dim` in config.json counts; otherwise it is hidden_size / heads.
        sliding_window_switch: config key that must be true for `sliding_window` to count; empty: it always counts.
        sliding_pattern: every so many-th layer looks back on everything where `layer_types` is absent; 0: all slide.
        norms: names of a layer's norms.
        tied: whether embeddings are tied where config.json does not say.
        norm_bias: whether norms have biases.
        head_bias: whether the output head has one.
        mlp: modules of an MLP that is not gated: (config, shape, name) -> modules.
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
    mlp: Callable[[Fields, Shape, str], tuple[Module, ...]] | None = None
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
    rope = read_rope(config, decoder.defaults.get("max_position_embeddings"))
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
            buffers=(*_caches(decoder, shape, rope), *buffers),
            norm_bias=decoder.norm_bias,
            head_bias=decoder.head_bias,
            experts=experts,
        )
    )


def _mlp(config: Fields, decoder: DenseDecoder, shape: Shape) -> FeedForward:
    bias = _bias(config, decoder.mlp_bias)
    if (other := decoder.mlp) is not None:
        return lambda index, root: other(config, shape, f"{root}.mlp")
    return lambda index, root: gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size, bias)


def _caches(decoder: DenseDecoder, shape: Shape, rope: Rope) -> tuple[Section, ...]:
    rotary = max(2, int(shape.head_size * rope.partial_rotary_factor))
    rows = rope.cache_rows * (decoder.mrope_stretch if rope.is_multimodal else 1)
    return (rope_cache(rows, rotary),)


def _bias(config: Fields, rule: bool | str) -> bool:
    return config.flag(rule) if isinstance(rule, str) else rule


def attention_modules(config: Fields, decoder: DenseDecoder, shape: Shape, root: str) -> tuple[Module, ...]:
    """Projections of an attention layer and the norms of its queries and keys."""
    name = f"{root}.{decoder.attention_name}"
    heads = (shape.num_heads, shape.num_kv_heads)
    width = shape.num_heads * shape.head_size
    projections = (
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
    if not decoder.qk_norm:
        return projections
    return (*projections, *(norm(f"{name}.{part}_norm", shape.head_size) for part in "qk"))


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
