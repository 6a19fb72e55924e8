"""Gated delta nets: the linear attention of Qwen3-Next and Qwen 3.5 (vLLM 0.32: layers/mamba/gdn/qwen_gdn_linear_attn.py)."""

from dataclasses import dataclass

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Split, State, StatePart
from modelserving.models.families.decoder import LARGEST_HEAD, MOST_HEADS
from modelserving.models.families.layers import column, norm, row, sharded_vector
from modelserving.models.fields import Fields

_DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class DeltaNet:
    """Sizes of a gated delta net.

    Attributes:
        interleaved: whether its projections are stored joined (Qwen3-Next) or one by one (Qwen 3.5).
        state_dtype: dtype of the recurrent state where the model's does not decide.
    """

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    conv_kernel: int
    interleaved: bool
    state_dtype: str | None = None


def read_delta_net(config: Fields, interleaved: bool) -> DeltaNet:
    """Read the sizes; defaults are transformers' Qwen3NextConfig's.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    stated = config.text("mamba_ssm_dtype")
    return DeltaNet(
        key_heads=config.whole("linear_num_key_heads", 16, high=MOST_HEADS),
        value_heads=config.whole("linear_num_value_heads", 32, high=MOST_HEADS),
        key_dim=config.whole("linear_key_head_dim", 128, high=LARGEST_HEAD),
        value_dim=config.whole("linear_value_head_dim", 128, high=LARGEST_HEAD),
        conv_kernel=config.whole("linear_conv_kernel_dim", 4, low=2, high=64),
        interleaved=interleaved,
        state_dtype=stated if stated in _DTYPES else None,
    )


def delta_net_modules(net: DeltaNet, width: int, name: str) -> tuple[Module, ...]:
    """Modules of a gated delta net."""
    keys, values = net.key_heads * net.key_dim, net.value_heads * net.value_dim
    parts = ("in_proj_qkvz",) if net.interleaved else ("in_proj_qkv", "in_proj_z")
    gates = ("in_proj_ba",) if net.interleaved else ("in_proj_b", "in_proj_a")
    into = Module(
        f"{name}.in_proj_qkvz",
        Split.COLUMN,
        width,
        (keys, keys, values, values),
        quantizable=True,
        sources=tuple(f"{name}.{part}" for part in parts),
    )
    return (
        column(f"{name}.conv1d", net.conv_kernel, 2 * keys + values, quantizable=False),
        into,
        Module(
            f"{name}.in_proj_ba",
            Split.COLUMN,
            width,
            (net.value_heads, net.value_heads),
            quantizable=True,
            sources=tuple(f"{name}.{part}" for part in gates),
        ),
        sharded_vector(f"{name}.dt_bias", net.value_heads),
        sharded_vector(f"{name}.A_log", net.value_heads, "float32"),
        norm(f"{name}.norm", net.value_dim),
        row(f"{name}.out_proj", values, width),
    )


def delta_net_group(net: DeltaNet, layers: tuple[int, ...]) -> AttentionGroup:
    """What gated delta nets keep for a request (mamba_utils.py, gated_delta_net_state_shape)."""
    window = net.conv_kernel - 1
    conv = State(
        "conv",
        (
            StatePart(net.key_heads, 2 * net.key_dim * window),
            StatePart(net.value_heads, net.value_dim * window),
        ),
    )
    ssm = State("ssm", (StatePart(net.value_heads, net.value_dim * net.key_dim),), net.state_dtype)
    return AttentionGroup(AttentionKind.MAMBA, layers, net.value_heads, 0, 0, 0, states=(conv, ssm))
