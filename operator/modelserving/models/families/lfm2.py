"""LFM 2: short convolutions and attention in turn, dense or with experts (vLLM 0.32: model_executor/models/lfm2.py, lfm2_moe.py)."""

from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Split, State, StatePart
from modelserving.models.families.decoder import LARGEST_WIDTH, Decoder, Shape, layers_where, put_together, read_shape
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, qkv, rope_cache, row
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope
from modelserving.units import round_up

# Defaults: transformers Lfm2Config and Lfm2MoeConfig.
_DEFAULTS = {
    "hidden_size": 2560,
    "intermediate_size": 12288,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 65536,
    "max_position_embeddings": 128000,
}
_MOE_DEFAULTS = {**_DEFAULTS, "hidden_size": 2048, "intermediate_size": 7168}
_MIXTURE = Mixture(
    default_experts=32,
    default_top_k=4,
    default_intermediate=1792,
    block="feed_forward",
    parts=("w1", "w3", "w2"),
    router_quantizable=True,
)
_ROOT = "model.layers.*"
_MULTIPLE = 256


def _describe(config: Fields, sparse: bool) -> Description:
    named = config.renamed({"intermediate_size": "block_ff_dim"})
    shape = read_shape(named, _MOE_DEFAULTS if sparse else _DEFAULTS, head_dim_key=False)
    rope = read_rope(config, _DEFAULTS["max_position_embeddings"])
    full = _full(config, shape.num_layers)
    found = None
    if sparse:
        dense = config.whole("num_dense_layers", 2, low=0)
        found = read_experts(config, _MIXTURE, layers_where(shape.num_layers, lambda index: index >= dense))
    corrected = config.flag("use_expert_bias", True)
    mixture = replace(_MIXTURE, correction_bias="gate.e_score_correction_bias") if corrected else _MIXTURE
    inner = shape.intermediate_size if sparse else _adjusted(config, shape)
    kernel = config.whole("conv_L_cache", 3, low=2, high=64)

    def layer(index: int) -> tuple[Module, ...]:
        first = _attention(shape) if index in full else _convolution(config, shape, kernel)
        if found is not None and index in found.layers:
            follow = mixture_modules(mixture, found, shape.hidden_size, _ROOT)
        else:
            follow = _mlp(shape, inner)
        return (
            *first,
            *follow,
            *(norm(f"{_ROOT}.{name}", shape.hidden_size) for name in ("operator_norm", "ffn_norm")),
        )

    size = shape.head_size
    conv = State("conv", (StatePart(shape.hidden_size, kernel - 1),))
    short = layers_where(shape.num_layers, lambda index: index not in full)
    groups = (
        AttentionGroup(AttentionKind.MAMBA, short, shape.hidden_size, 0, 0, 0, states=(conv,)),
        AttentionGroup(AttentionKind.FULL, full, shape.num_heads, shape.num_kv_heads, size, size),
    )
    return put_together(
        Decoder(
            shape=replace(shape, intermediate_size=inner),
            rope=rope,
            layer=layer,
            attention=tuple(group for group in groups if group.layers),
            # Whatever config.json says (lfm2.py, lfm2_moe.py, `tie_weights`).
            tied=True,
            buffers=(rope_cache(rope.cache_rows, size),),
            final_norm="embedding_norm",
            experts=found,
        )
    )


def _full(config: Fields, num_layers: int) -> tuple[int, ...]:
    kinds = config.texts("layer_types")
    if not kinds:
        return config.indices("full_attn_idxs", num_layers) or tuple(range(num_layers))
    if len(kinds) < num_layers:
        raise config.fail("layer_types", f"a list of {num_layers} texts")
    return layers_where(num_layers, lambda index: kinds[index] == "full_attention")


def _adjusted(config: Fields, shape: Shape) -> int:
    """Width of the MLP: two thirds of what is stated, rounded up (lfm2.py, block_auto_adjust_ff_dim)."""
    inner = shape.intermediate_size
    if not config.flag("block_auto_adjust_ff_dim", True):
        return inner
    factor = config.number("block_ffn_dim_multiplier", 1.0, 0.01, 64.0)
    return round_up(int(factor * int(2 * inner / 3)), config.whole("block_multiple_of", _MULTIPLE, high=LARGEST_WIDTH))


def _attention(shape: Shape) -> tuple[Module, ...]:
    name, size, width = f"{_ROOT}.self_attn", shape.head_size, shape.hidden_size
    return (
        qkv(f"{name}.qkv_proj", width, (shape.num_heads, shape.num_kv_heads), (size, size)),
        row(f"{name}.out_proj", shape.num_heads * size, width),
        norm(f"{name}.q_layernorm", size),
        norm(f"{name}.k_layernorm", size),
    )


def _convolution(config: Fields, shape: Shape, kernel: int) -> tuple[Module, ...]:
    """A gated convolution over few tokens (layers/mamba/short_conv.py)."""
    name, width, bias = f"{_ROOT}.short_conv", shape.hidden_size, config.flag("conv_bias")
    into = Module(
        f"{name}.in_proj",
        Split.COLUMN,
        width,
        (width, width, width),
        bias=bias,
        quantizable=True,
    )
    return (
        column(f"{name}.conv", kernel, width, bias, quantizable=False),
        into,
        row(f"{name}.out_proj", width, width, bias),
    )


def _mlp(shape: Shape, inner: int) -> tuple[Module, ...]:
    name = f"{_ROOT}.feed_forward"
    joined, down = gated_mlp(name, shape.hidden_size, inner, down="w2")
    return (replace(joined, name=f"{name}.w13", sources=(f"{name}.w1", f"{name}.w3")), down)


_RENAMES = ((".conv.", ".short_conv."), (".feed_forward.expert_bias", ".feed_forward.gate.e_score_correction_bias"))
FAMILIES = (
    Family("lfm2", ("Lfm2ForCausalLM",), lambda config: _describe(config, False), renames=_RENAMES, cache_scales=False),
    Family(
        "lfm2_moe",
        ("Lfm2MoeForCausalLM",),
        lambda config: _describe(config, True),
        renames=_RENAMES,
        cache_scales=False,
    ),
)
