"""Dense decoders with grouped-query attention: the modules that Llama and its relatives share.

Source: vLLM 0.32 model_executor/models/llama.py, qwen2.py, qwen3.py: fused qkv_proj and gate_up_proj, two RMSNorms a
layer, one rope cache a rank, four scale buffers an attention layer (attention/layer.py: q, k, v and prob scales).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage
from modelserving.models.families.family import Description
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# Far beyond any published model; products of three of these stay small enough to compute with.
_MOST_LAYERS = 1024
_MOST_HEADS = 4096
_LARGEST_HEAD = 4096
_LARGEST_WIDTH = 2**22
_LARGEST_VOCABULARY = 2**24
# attention/layer.py: _q_scale, _k_scale, _v_scale, _prob_scale.
_ATTENTION_SCALES = ("_q_scale", "_k_scale", "_v_scale", "_prob_scale")


@dataclass(frozen=True, slots=True)
class DenseDecoder:
    """What tells one dense family from another.

    Attributes:
        defaults: transformers' defaults for keys that config.json may leave out.
        qkv_bias: whether query, key and value have a bias: a constant, or the config key that says so.
        output_bias: the same for the attention's output.
        mlp_bias: the same for the MLP.
        qk_norm: whether queries and keys are normed per head.
        head_dim_key: whether `head_dim` in config.json counts; otherwise it is hidden_size / heads.
        sliding_window_switch: config key that must be true for `sliding_window` to count; empty: it always counts.
    """

    defaults: Mapping[str, int] = field(default_factory=dict)
    qkv_bias: bool | str = False
    output_bias: bool | str = False
    mlp_bias: bool | str = False
    qk_norm: bool = False
    head_dim_key: bool = True
    sliding_window_switch: str = ""


@dataclass(frozen=True, slots=True)
class _Shape:
    hidden_size: int
    intermediate_size: int
    vocab_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int


def describe_dense(config: Fields, decoder: DenseDecoder, prefix: str = "") -> Description:
    """Describe a dense decoder.

    Args:
        config: the language model's part of config.json.
        decoder: what is particular to the family.
        prefix: what vLLM puts before the names of this language model's modules.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    shape = _read_shape(config, decoder)
    rope = read_rope(config, decoder.defaults.get("max_position_embeddings"))
    tied = config.flag("tie_word_embeddings")
    everything = tuple(range(shape.num_layers))
    rotary = max(2, int(shape.head_size * rope.partial_rotary_factor))
    embedding = Module(f"{prefix}model.embed_tokens", Split.VOCAB, shape.hidden_size, (shape.vocab_size,))
    head = Module(
        f"{prefix}lm_head",
        Split.VOCAB,
        shape.hidden_size,
        (shape.vocab_size,),
        tied_to=embedding.name if tied else None,
    )
    sections = (
        Section(Stage.FIRST, (embedding,)),
        Section(Stage.LAYERS, _layer(config, decoder, shape, f"{prefix}model.layers.*"), layers=everything),
        Section(Stage.LAST, (_norm(f"{prefix}model.norm", shape.hidden_size), head)),
        Section(
            Stage.EVERY,
            (Module("rotary_emb.cos_sin_cache", Split.REPLICATED, rotary, (rope.cache_rows,)),),
            buffers=True,
        ),
        Section(Stage.LAYERS, _scales(f"{prefix}model.layers.*.self_attn.attn"), layers=everything, buffers=True),
    )
    return Description(
        sections=sections,
        attention=_attention(config, decoder, shape),
        max_model_len=rope.max_model_len,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        vocab_size=shape.vocab_size,
        num_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_kv_heads=shape.num_kv_heads,
        head_size=shape.head_size,
        tie_word_embeddings=tied,
    )


def _read_shape(config: Fields, decoder: DenseDecoder) -> _Shape:
    hidden_size = config.whole("hidden_size", high=_LARGEST_WIDTH)
    heads = config.whole("num_attention_heads", high=_MOST_HEADS)
    kv_heads = config.whole("num_key_value_heads", decoder.defaults.get("num_key_value_heads", heads), high=_MOST_HEADS)
    if heads % kv_heads:
        raise config.fail("num_key_value_heads", f"a divisor of num_attention_heads ({heads})")
    default_head = decoder.defaults.get("head_dim") or hidden_size // heads
    head_size = config.whole("head_dim", default_head, high=_LARGEST_HEAD) if decoder.head_dim_key else default_head
    if not 0 < head_size <= _LARGEST_HEAD:
        raise config.fail("num_attention_heads", f"at most hidden_size ({hidden_size})")
    return _Shape(
        hidden_size=hidden_size,
        intermediate_size=config.whole("intermediate_size", high=_LARGEST_WIDTH),
        vocab_size=config.whole("vocab_size", decoder.defaults.get("vocab_size"), high=_LARGEST_VOCABULARY),
        num_layers=config.whole("num_hidden_layers", high=_MOST_LAYERS),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_size=head_size,
    )


def _bias(config: Fields, rule: bool | str) -> bool:
    return config.flag(rule) if isinstance(rule, str) else rule


def _norm(name: str, size: int) -> Module:
    return Module(name, Split.REPLICATED, 1, (size,))


def _scales(prefix: str) -> tuple[Module, ...]:
    return tuple(
        Module(f"{prefix}.{name}", Split.REPLICATED, 1, (1,), fixed_dtype="float32") for name in _ATTENTION_SCALES
    )


def _layer(config: Fields, decoder: DenseDecoder, shape: _Shape, prefix: str) -> tuple[Module, ...]:
    attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
    heads = (shape.num_heads, shape.num_kv_heads, shape.num_kv_heads)
    mlp_bias = _bias(config, decoder.mlp_bias)
    qkv = Module(
        f"{attention}.qkv_proj",
        Split.QKV,
        shape.hidden_size,
        tuple(count * shape.head_size for count in heads),
        bias=_bias(config, decoder.qkv_bias),
        heads=heads,
        quantizable=True,
        sources=tuple(f"{attention}.{part}_proj" for part in "qkv"),
    )
    output = Module(
        f"{attention}.o_proj",
        Split.ROW,
        shape.num_heads * shape.head_size,
        (shape.hidden_size,),
        bias=_bias(config, decoder.output_bias),
        quantizable=True,
    )
    head_norms = tuple(_norm(f"{attention}.{part}_norm", shape.head_size) for part in "qk") if decoder.qk_norm else ()
    gate_up = Module(
        f"{mlp}.gate_up_proj",
        Split.COLUMN,
        shape.hidden_size,
        (shape.intermediate_size, shape.intermediate_size),
        bias=mlp_bias,
        quantizable=True,
        sources=(f"{mlp}.gate_proj", f"{mlp}.up_proj"),
    )
    down = Module(
        f"{mlp}.down_proj", Split.ROW, shape.intermediate_size, (shape.hidden_size,), bias=mlp_bias, quantizable=True
    )
    norms = (
        _norm(f"{prefix}.input_layernorm", shape.hidden_size),
        _norm(f"{prefix}.post_attention_layernorm", shape.hidden_size),
    )
    return (qkv, output, *head_norms, gate_up, down, *norms)


def _attention(config: Fields, decoder: DenseDecoder, shape: _Shape) -> tuple[AttentionGroup, ...]:
    """Layers by what they look back on: as transformers fills in `layer_types`, as vLLM's Attention reads it."""
    window = config.optional_whole("sliding_window", low=0) or None
    if not config.has("sliding_window"):
        window = decoder.defaults.get("sliding_window")
    if decoder.sliding_window_switch and not config.flag(decoder.sliding_window_switch):
        window = None
    sliding = _sliding_layers(config, decoder, shape.num_layers) if window else ()
    full = tuple(sorted(set(range(shape.num_layers)) - set(sliding)))
    groups = ((AttentionKind.FULL, full, None), (AttentionKind.SLIDING_WINDOW, sliding, window))
    return tuple(
        AttentionGroup(kind, layers, shape.num_heads, shape.num_kv_heads, shape.head_size, shape.head_size, look_back)
        for kind, layers, look_back in groups
        if layers
    )


def _sliding_layers(config: Fields, decoder: DenseDecoder, num_layers: int) -> tuple[int, ...]:
    kinds = config.texts("layer_types")
    if len(set(kinds)) > 1:
        return tuple(index for index, kind in enumerate(kinds[:num_layers]) if kind == "sliding_attention")
    if decoder.sliding_window_switch and (first := config.optional_whole("max_window_layers", low=0)) is not None:
        # Qwen: layers before max_window_layers look back on everything; where none is left, all layers slide.
        return tuple(range(first if first < num_layers else 0, num_layers))
    return tuple(range(num_layers))
