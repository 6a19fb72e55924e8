"""Layers that families are built from, as vLLM names and cuts them.

Source: vLLM 0.32 model_executor/layers/linear.py, fused_moe/routed_experts.py, attention/attention.py.
"""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, Stage

# attention/attention.py, set_default_quant_scales: _q_scale, _k_scale, _v_scale, _prob_scale.
_ATTENTION_SCALES = ("_q_scale", "_k_scale", "_v_scale", "_prob_scale")


def norm(name: str, size: int, bias: bool = False) -> Module:
    """A norm: a vector, whole on every rank."""
    return Module(name, Split.REPLICATED, 1, (size,), bias=bias)


def sharded_vector(name: str, size: int, dtype: str | None = None) -> Module:
    """A vector with an entry for each head or channel, cut like them."""
    return Module(name, Split.COLUMN, 1, (size,), fixed_dtype=dtype)


def column(name: str, inputs: int, outputs: int, bias: bool = False, quantizable: bool = True) -> Module:
    """A linear layer whose outputs are cut."""
    return Module(name, Split.COLUMN, inputs, (outputs,), bias=bias, quantizable=quantizable)


def row(name: str, inputs: int, outputs: int, bias: bool = False, quantizable: bool = True) -> Module:
    """A linear layer whose inputs are cut."""
    return Module(name, Split.ROW, inputs, (outputs,), bias=bias, quantizable=quantizable)


def replicated(name: str, inputs: int, outputs: int, bias: bool = False, quantizable: bool = True) -> Module:
    """A linear layer that every rank has whole."""
    return Module(name, Split.REPLICATED, inputs, (outputs,), bias=bias, quantizable=quantizable)


def router(name: str, inputs: int, experts: int, bias: bool = False) -> Module:
    """A router of experts: whole on every rank, never quantized on the fly."""
    return Module(name, Split.REPLICATED, inputs, (experts,), bias=bias)


def merged(name: str, inputs: int, outputs: tuple[int, ...], parts: tuple[str, ...], bias: bool = False) -> Module:
    """Linear layers that vLLM joins into one, each cut by itself; parts are their names beside it in the checkpoint."""
    root = name.rpartition(".")[0]
    sources = tuple(f"{root}.{part}" if root else part for part in parts)
    return Module(name, Split.COLUMN, inputs, outputs, bias=bias, quantizable=True, sources=sources)


def gate_up(prefix: str, inputs: int, inner: int, bias: bool = False) -> Module:
    """The joined gate and up projections of a gated MLP."""
    return merged(f"{prefix}.gate_up_proj", inputs, (inner, inner), ("gate_proj", "up_proj"), bias)


def gated_mlp(
    prefix: str, width: int, inner: int, bias: bool = False, joined: str = "", down: str = "down_proj"
) -> tuple[Module, ...]:
    """A gated MLP: gate and up joined, then down.

    Args:
        prefix: vLLM's name of the MLP.
        width: columns of gate and up.
        inner: rows of gate and up.
        bias: whether all have biases.
        joined: name of gate and up in the checkpoint, where they are stored joined.
        down: name of the last projection.
    """
    first = gate_up(prefix, width, inner, bias)
    if joined:
        first = replace(first, sources=(f"{prefix}.{joined}",))
    return (first, row(f"{prefix}.{down}", inner, width, bias))


def plain_mlp(prefix: str, width: int, inner: int, bias: bool = False) -> tuple[Module, ...]:
    """An MLP without a gate: up, then down."""
    return (column(f"{prefix}.up_proj", width, inner, bias), row(f"{prefix}.down_proj", inner, width, bias))


def qkv(
    name: str,
    inputs: int,
    heads: tuple[int, int],
    head_sizes: tuple[int, int],
    bias: bool = False,
    parts: tuple[str, ...] = ("q_proj", "k_proj", "v_proj"),
) -> Module:
    """Query, key and value joined.

    Args:
        name: vLLM's name.
        inputs: columns.
        heads: (query heads, key and value heads).
        head_sizes: (elements of a query or key head, of a value head).
        bias: whether it has one.
        parts: names beside it in the checkpoint; a single one for a layer that is stored joined.
    """
    root = name.rpartition(".")[0]
    counts = (heads[0], heads[1], heads[1])
    sizes = (head_sizes[0], head_sizes[0], head_sizes[1])
    return Module(
        name,
        Split.QKV,
        inputs,
        tuple(count * size for count, size in zip(counts, sizes, strict=True)),
        bias=bias,
        heads=counts,
        quantizable=True,
        sources=tuple(f"{root}.{part}" for part in parts),
    )


def experts(
    prefix: str,
    count: int,
    width: int,
    inner: int,
    gated: bool = True,
    bias: bool = False,
    parts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> tuple[Module, ...]:
    """Routed experts, stacked: w13 (gate and up) and w2 (down).

    Args:
        prefix: vLLM's name of the experts of a layer.
        count: experts.
        width: columns of w13, rows of w2.
        inner: intermediate size of one expert.
        gated: whether there is a gate beside the up projection.
        bias: whether both have biases.
        parts: names in the checkpoint of gate, up and down.
    """
    first = parts[:2] if gated else parts[1:2]
    into = tuple(f"{prefix}.*.{part}" for part in first)
    return (
        Module(
            f"{prefix}.w13",
            Split.COLUMN,
            width,
            (inner,) * len(first),
            bias=bias,
            quantizable=True,
            sources=into,
            experts=count,
        ),
        Module(
            f"{prefix}.w2",
            Split.ROW,
            inner,
            (width,),
            bias=bias,
            quantizable=True,
            sources=(f"{prefix}.*.{parts[2]}",),
            experts=count,
        ),
    )


def rope_cache(rows: int, width: int, dtype: str | None = None) -> Section:
    """A cache of cosines and sines, one on every rank."""
    cache = Module("rotary_emb.cos_sin_cache", Split.REPLICATED, width, (rows,), fixed_dtype=dtype)
    return Section(Stage.EVERY, (cache,), buffers=True)


def rope_frequencies(width: int, kinds: tuple[str, ...] = ("",)) -> Section:
    """Frequencies that transformers' rotary embedding keeps instead of a cache, twice, for each kind of layers."""
    names = tuple(f"rotary_emb.{kind}{name}" for kind in kinds for name in ("inv_freq", "original_inv_freq"))
    modules = tuple(Module(name, Split.REPLICATED, 1, (width // 2,), fixed_dtype="float32") for name in names)
    return Section(Stage.EVERY, modules, buffers=True)


def attention_scales(prefix: str, layers: tuple[int, ...]) -> Section:
    """Scales that vLLM keeps for every attention layer, quantized or not."""
    scales = tuple(
        Module(f"{prefix}.{name}", Split.REPLICATED, 1, (1,), fixed_dtype="float32") for name in _ATTENTION_SCALES
    )
    return Section(Stage.LAYERS, scales, layers=layers, buffers=True)
