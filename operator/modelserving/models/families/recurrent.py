"""Layers with a recurrent state: Mamba 1, Mamba 2 and gated delta nets.

Source: vLLM 0.32 layers/mamba/mamba_mixer.py, mamba_mixer2.py, mamba_utils.py (MambaStateShapeCalculator and
MambaStateDtypeCalculator), layers/mamba/gdn/.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Split, State, StatePart
from modelserving.models.families.layers import column, row, sharded_vector


@dataclass(frozen=True, slots=True)
class Mamba2:
    """Sizes of a Mamba 2 mixer.

    Attributes:
        state_dtype: dtype of the recurrent state where the model's does not decide.
        norm: whether it norms its output, gated.
    """

    hidden_size: int
    num_heads: int
    head_dim: int
    num_groups: int
    state_size: int
    conv_kernel: int
    conv_bias: bool = True
    bias: bool = False
    norm: bool = True
    state_dtype: str | None = None

    @property
    def inner_size(self) -> int:
        """Channels of all heads."""
        return self.num_heads * self.head_dim


def mamba2_modules(mamba: Mamba2, name: str) -> tuple[Module, ...]:
    """Modules of a Mamba 2 mixer; groups are cut, or the only one is on every rank."""
    inner, states = mamba.inner_size, mamba.num_groups * mamba.state_size
    groups = (mamba.num_groups, mamba.num_groups)
    into = Module(
        f"{name}.in_proj",
        Split.GROUPED,
        mamba.hidden_size,
        (inner, inner, states, states, mamba.num_heads),
        bias=mamba.bias,
        heads=(mamba.num_heads, mamba.num_heads, *groups, mamba.num_heads),
        quantizable=True,
    )
    conv = Module(
        f"{name}.conv1d",
        Split.GROUPED,
        mamba.conv_kernel,
        (inner, states, states),
        bias=mamba.conv_bias,
        heads=(mamba.num_heads, *groups),
    )
    return (
        conv,
        into,
        sharded_vector(f"{name}.A", mamba.num_heads, "float32"),
        sharded_vector(f"{name}.D", mamba.num_heads),
        sharded_vector(f"{name}.dt_bias", mamba.num_heads),
        row(f"{name}.out_proj", inner, mamba.hidden_size, mamba.bias),
        *((sharded_vector(f"{name}.norm", inner),) if mamba.norm else ()),
    )


def conv_view(module: Module) -> Module:
    """The flat view of a convolution's weight that vLLM lists among its buffers."""
    return replace(module, name=f"{module.name}.view", bias=False)


def mamba2_group(mamba: Mamba2, layers: tuple[int, ...]) -> AttentionGroup:
    """What Mamba 2 layers keep for a request."""
    window = mamba.conv_kernel - 1
    conv = State(
        "conv",
        (
            StatePart(mamba.num_heads, mamba.head_dim * window),
            StatePart(mamba.num_groups, 2 * mamba.state_size * window),
        ),
    )
    ssm = State("ssm", (StatePart(mamba.num_heads, mamba.head_dim * mamba.state_size),), mamba.state_dtype)
    return AttentionGroup(
        AttentionKind.MAMBA, layers, mamba.num_heads, 0, 0, 0, states=(conv, ssm), checkpoint_blocks=1
    )


@dataclass(frozen=True, slots=True)
class Mamba1:
    """Sizes of a Mamba 1 mixer."""

    hidden_size: int
    inner_size: int
    state_size: int
    conv_kernel: int
    dt_rank: int
    conv_bias: bool = True
    bias: bool = False
    norms: bool = False


def mamba1_modules(mamba: Mamba1, name: str) -> tuple[Module, ...]:
    """Modules of a Mamba 1 mixer; its class takes no quantization (mamba_mixer.py)."""
    inner, states = mamba.inner_size, mamba.state_size
    norms = (("dt", mamba.dt_rank), ("b", states), ("c", states)) if mamba.norms else ()
    return (
        column(f"{name}.conv1d", mamba.conv_kernel, inner, mamba.conv_bias, quantizable=False),
        Module(f"{name}.in_proj", Split.COLUMN, mamba.hidden_size, (inner, inner), bias=mamba.bias),
        row(f"{name}.x_proj", inner, mamba.dt_rank + 2 * states, quantizable=False),
        column(f"{name}.dt_proj", mamba.dt_rank, inner, True, quantizable=False),
        Module(f"{name}.A", Split.COLUMN, states, (inner,), fixed_dtype="float32"),
        sharded_vector(f"{name}.D", inner),
        row(f"{name}.out_proj", inner, mamba.hidden_size, mamba.bias, quantizable=False),
        *(Module(f"{name}.{part}_layernorm", Split.REPLICATED, 1, (size,)) for part, size in norms),
    )


def mamba1_group(mamba: Mamba1, layers: tuple[int, ...]) -> AttentionGroup:
    """What Mamba 1 layers keep for a request."""
    conv = State("conv", (StatePart(mamba.inner_size, mamba.conv_kernel - 1),))
    ssm = State("ssm", (StatePart(mamba.inner_size, mamba.state_size),))
    return AttentionGroup(AttentionKind.MAMBA, layers, mamba.inner_size, 0, 0, 0, states=(conv, ssm))
