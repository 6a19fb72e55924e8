"""Falcon-H1 and Jamba: attention and Mamba, side by side in a layer or in turn.

Source: vLLM 0.32 model_executor/models/falcon_h1.py, jamba.py.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Stage
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
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp, norm, qkv, rope_cache, row
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.families.recurrent import (
    Mamba1,
    Mamba2,
    conv_view,
    mamba1_group,
    mamba1_modules,
    mamba2_group,
    mamba2_modules,
)
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# Defaults: transformers FalconH1Config and JambaConfig.
_FALCON = {"max_position_embeddings": 8192, "num_key_value_heads": 8}
_JAMBA = {"max_position_embeddings": 262144, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 65536}
_MIXTURE = Mixture(
    intermediate_size="intermediate_size",
    default_experts=16,
    default_top_k=2,
    default_intermediate=14336,
    block="feed_forward",
    gate="router",
)
_LAYER = "model.layers.*"


def _attention(shape: Shape, name: str) -> tuple[Module, ...]:
    size, width = shape.head_size, shape.hidden_size
    return (
        qkv(f"{name}.qkv_proj", width, (shape.num_heads, shape.num_kv_heads), (size, size)),
        row(f"{name}.o_proj", shape.num_heads * size, width),
    )


def _full(shape: Shape, layers: tuple[int, ...]) -> AttentionGroup:
    size = shape.head_size
    return AttentionGroup(AttentionKind.FULL, layers, shape.num_heads, shape.num_kv_heads, size, size)


def _norms(shape: Shape) -> tuple[Module, ...]:
    return tuple(norm(f"{_LAYER}.{name}", shape.hidden_size) for name in ("input_layernorm", "pre_ff_layernorm"))


def _falcon(config: Fields) -> Description:
    shape = read_shape(config, _FALCON)
    rope = read_rope(config, _FALCON["max_position_embeddings"])
    heads = config.whole("mamba_n_heads", 128, high=MOST_HEADS)
    inner = config.whole(
        "mamba_d_ssm", config.whole("mamba_expand", 2, high=64) * shape.hidden_size, high=LARGEST_WIDTH
    )
    if inner % heads:
        raise config.fail("mamba_n_heads", f"a divisor of mamba_d_ssm ({inner})")
    mamba = Mamba2(
        hidden_size=shape.hidden_size,
        num_heads=heads,
        head_dim=inner // heads,
        num_groups=config.whole("mamba_n_groups", 1, high=MOST_HEADS),
        state_size=config.whole("mamba_d_state", 256, high=LARGEST_HEAD),
        conv_kernel=config.whole("mamba_d_conv", 4, low=2, high=64),
        conv_bias=config.flag("mamba_conv_bias", True),
        bias=config.flag("mamba_proj_bias"),
        norm=config.flag("mamba_rms_norm"),
    )
    everything = tuple(range(shape.num_layers))
    mixer = mamba2_modules(mamba, f"{_LAYER}.mamba")
    modules = (
        *_attention(shape, f"{_LAYER}.self_attn"),
        *mixer,
        *gated_mlp(f"{_LAYER}.feed_forward", shape.hidden_size, shape.intermediate_size, config.flag("mlp_bias")),
        *_norms(shape),
    )
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: modules,
            attention=(mamba2_group(mamba, everything), _full(shape, everything)),
            tied=config.flag("tie_word_embeddings"),
            buffers=(
                rope_cache(rope.cache_rows, shape.head_size),
                Section(Stage.LAYERS, (conv_view(mixer[0]),), layers=everything, buffers=True),
            ),
            final_norm="final_layernorm",
        )
    )


def _jamba(config: Fields) -> Description:
    shape = read_shape(config, _JAMBA, head_dim_key=False)
    width = shape.hidden_size
    mamba = Mamba1(
        hidden_size=width,
        inner_size=config.whole("mamba_expand", 2, high=64) * width,
        state_size=config.whole("mamba_d_state", 16, high=LARGEST_HEAD),
        conv_kernel=config.whole("mamba_d_conv", 4, low=2, high=64),
        dt_rank=_dt_rank(config, width),
        conv_bias=config.flag("mamba_conv_bias", True),
        bias=config.flag("mamba_proj_bias"),
        norms=True,
    )
    full = _every(config, "attn_layer", 8, 4, shape.num_layers)
    experts = config.whole("num_experts", 16, high=LARGEST_HEAD)
    sparse = _every(config, "expert_layer", 2, 1, shape.num_layers) if experts > 1 else ()
    found = read_experts(config, _MIXTURE, sparse) if sparse else None

    def layer(index: int) -> tuple[Module, ...]:
        first = _attention(shape, f"{_LAYER}.self_attn") if index in full else mamba1_modules(mamba, f"{_LAYER}.mamba")
        if found is not None and index in sparse:
            follow = mixture_modules(_MIXTURE, found, width, _LAYER)
        else:
            follow = gated_mlp(f"{_LAYER}.feed_forward", width, shape.intermediate_size)
        return (*first, *follow, *_norms(shape))

    recurrent = layers_where(shape.num_layers, lambda index: index not in full)
    groups = (mamba1_group(mamba, recurrent), _full(shape, full))
    return put_together(
        Decoder(
            shape=shape,
            rope=read_rope(config, _JAMBA["max_position_embeddings"]),
            layer=layer,
            attention=tuple(group for group in groups if group.layers),
            tied=config.flag("tie_word_embeddings"),
            final_norm="final_layernorm",
            experts=found,
        )
    )


def _dt_rank(config: Fields, width: int) -> int:
    if config.raw("mamba_dt_rank") == "auto":
        return max(1, -(-width // 16))
    return config.whole("mamba_dt_rank", max(1, -(-width // 16)), high=LARGEST_WIDTH)


def _every(config: Fields, key: str, period: int, offset: int, num_layers: int) -> tuple[int, ...]:
    step = config.whole(f"{key}_period", period)
    first = config.whole(f"{key}_offset", offset, low=0)
    return layers_where(num_layers, lambda index: index % step == first % step)


_RENAMES = ((".A_log", ".A"),)
FALCON_H1 = Family("falcon_h1", ("FalconH1ForCausalLM",), _falcon, renames=_RENAMES)
JAMBA = Family("jamba", ("JambaForCausalLM",), _jamba, renames=_RENAMES, cache_scales=False)
