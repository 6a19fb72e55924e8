"""Granite with experts: in every layer, with shared ones, and in turn with Mamba 2.

Source: vLLM 0.32 model_executor/models/granitemoe.py, granitemoeshared.py, granitemoehybrid.py. Defaults: the config class
of each in transformers.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section, Stage
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_WIDTH,
    MOST_HEADS,
    Decoder,
    Shape,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.dense import DenseDecoder, attention_modules, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp, norm, rope_cache
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.families.recurrent import Mamba2, conv_view, mamba2_group, mamba2_modules
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_DECODER = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
)
MIXTURE = Mixture(
    num_experts="num_local_experts",
    intermediate_size="intermediate_size",
    default_experts=8,
    default_top_k=2,
    default_intermediate=11008,
    block="block_sparse_moe",
)
_ROOT = "model.layers.*"
_SHARED_SIZE = 1024


def shared_mlp(shape: Shape, size: int) -> tuple[Module, ...]:
    """A gated MLP beside the experts, stored joined; none of size 0."""
    name = f"{_ROOT}.shared_mlp"
    return gated_mlp(name, shape.hidden_size, size, joined="input_linear", down="output_linear") if size else ()


def _describe(config: Fields, shared_size: int = 0) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    found = read_experts(config, MIXTURE, tuple(range(shape.num_layers)))
    modules = (*mixture_modules(MIXTURE, found, shape.hidden_size, _ROOT), *shared_mlp(shape, shared_size))
    return describe_dense(config, _DECODER, feed_forward=lambda index, root: modules, experts=found)


def _with_shared(config: Fields) -> Description:
    return _describe(config, config.whole("shared_intermediate_size", 0, low=0, high=LARGEST_WIDTH))


def _hybrid(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults, head_dim_key=False)
    rope = read_rope(config, _DECODER.defaults["max_position_embeddings"])
    full = _attention_layers(config, shape.num_layers)
    recurrent = layers_where(shape.num_layers, lambda index: index not in full)
    mamba = _mamba(config, shape) if recurrent else None
    mixer = mamba2_modules(mamba, f"{_ROOT}.mamba") if mamba is not None else ()
    follow, found = _follow(config, shape)
    rotates = config.text("position_embedding_type") == "rope"

    def layer(index: int) -> tuple[Module, ...]:
        first = attention_modules(config, _DECODER, shape, _ROOT) if index in full else mixer
        norms = (norm(f"{_ROOT}.{name}", shape.hidden_size) for name in ("input_layernorm", "post_attention_layernorm"))
        return (*first, *follow, *norms)

    size = shape.head_size
    kept = [AttentionGroup(AttentionKind.FULL, full, shape.num_heads, shape.num_kv_heads, size, size)] if full else []
    buffers = [rope_cache(rope.cache_rows, size)] if rotates and full else []
    if mamba is not None:
        kept.insert(0, mamba2_group(mamba, recurrent))
        buffers.append(Section(Stage.LAYERS, (conv_view(mixer[0]),), layers=recurrent, buffers=True))
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=tuple(kept),
            tied=config.flag("tie_word_embeddings"),
            buffers=tuple(buffers),
            experts=found,
        )
    )


def _attention_layers(config: Fields, num_layers: int) -> tuple[int, ...]:
    kinds = config.texts("layer_types") or config.texts("layers_block_type")
    if not kinds:
        return ()
    if len(kinds) < num_layers:
        raise config.fail("layer_types", f"a list of {num_layers} texts")
    return layers_where(num_layers, lambda index: kinds[index] == "attention")


def _mamba(config: Fields, shape: Shape) -> Mamba2:
    heads = config.whole("mamba_n_heads", 128, high=MOST_HEADS)
    inner = config.whole("mamba_expand", 2, high=64) * shape.hidden_size
    if inner % heads:
        raise config.fail("mamba_n_heads", f"a divisor of {inner}")
    automatic = config.raw("mamba_d_head") in (None, "auto")
    return Mamba2(
        hidden_size=shape.hidden_size,
        num_heads=heads,
        head_dim=inner // heads if automatic else config.whole("mamba_d_head", high=LARGEST_HEAD),
        num_groups=config.whole("mamba_n_groups", 1, high=MOST_HEADS),
        state_size=config.whole("mamba_d_state", 256, high=LARGEST_HEAD),
        conv_kernel=config.whole("mamba_d_conv", 4, low=2, high=64),
        conv_bias=config.flag("mamba_conv_bias", True),
        bias=config.flag("mamba_proj_bias"),
    )


def _follow(config: Fields, shape: Shape) -> tuple[tuple[Module, ...], Experts | None]:
    """Experts, if there are any, and what is beside or instead of them."""
    shared = shared_mlp(shape, config.whole("shared_intermediate_size", _SHARED_SIZE, low=0, high=LARGEST_WIDTH))
    if config.raw("num_local_experts") == 0:
        return shared, None
    found = read_experts(config, MIXTURE, tuple(range(shape.num_layers)))
    return (*mixture_modules(MIXTURE, found, shape.hidden_size, _ROOT), *shared), found


RENAMES = (
    (".block_sparse_moe.input_linear", ".block_sparse_moe.experts.gate_up_proj"),
    (".block_sparse_moe.output_linear", ".block_sparse_moe.experts.down_proj"),
    (".block_sparse_moe.router.layer", ".block_sparse_moe.gate"),
    (".A_log", ".A"),
)
FAMILIES = (
    Family("granitemoe", ("GraniteMoeForCausalLM",), _describe, renames=RENAMES),
    Family("granitemoeshared", ("GraniteMoeSharedForCausalLM",), _with_shared, renames=RENAMES),
    Family("granitemoehybrid", ("GraniteMoeHybridForCausalLM",), _hybrid, renames=RENAMES),
)
