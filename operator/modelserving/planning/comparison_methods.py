"""The methods that a comparison looks at, as values: every way to spend less GPU memory that people ask for.

A method is a checkpoint (stored, or as somebody would have to publish it), flags of vLLM, and how its layout is looked for. The order
is that of the table: bits of the weights first, then what leaves the weights alone, then what vLLM does not have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from modelserving.api.modelserving import Precision
from modelserving.engine.quantization import method_of
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure
from modelserving.planning import comparison_costs as costs
from modelserving.planning import comparison_published as layouts
from modelserving.planning.comparison_costs import Cost
from modelserving.planning.comparison_formats import (
    EIGHT_ONLINE,
    EIGHT_PUBLISHED,
    FOUR_ONLINE,
    FOUR_PUBLISHED,
    Group,
    Online,
    Published,
)
from modelserving.planning.request import PlanRequest

# A batch of the row "fewer batched tokens": half of the least that vLLM chooses for any GPU, and a quarter of its sequences
# (engine.defaults: 2,048 and 256).
SMALL_BATCH_TOKENS = 1024
SMALL_BATCH_SEQUENCES = 64


class Search(StrEnum):
    """How the layout of a method is looked for."""

    FEWEST = "fewest"
    """Fewest GPUs."""
    WHOLE_NODE = "wholeNode"
    """All GPUs of a node, tensor parallel."""
    STAGES = "stages"
    """Fewest pipeline stages of one GPU each."""
    SHORTER = "shorter"
    """Fewest GPUs that hold a context at all, however short."""
    OFFLOAD = "offload"
    """Fewest GPUs with as much of the weights in host memory as it takes."""


@dataclass(frozen=True, slots=True)
class ComparedMethod:
    """One method.

    Attributes:
        key: name for machines; never changes.
        label: name for a person.
        bits: bits of a weight by its name, what the rule of thumb multiplies by.
        facts: of the checkpoint that is served.
        dtype: what `resolve_dtype` is asked for.
        quantization: `--quantization`; None where the checkpoint decides.
        kv_cache_dtype: `--kv-cache-dtype`.
        batch: (max_num_batched_tokens, max_num_seqs) where vLLM's default is not taken.
        is_estimate: whether the checkpoint is one that somebody would have to have published.
        absent: why it cannot be had, whatever the GPU; empty if it can.
        reason: CamelCase for `absent`.
        note: what was assumed; empty if nothing was.
    """

    key: str
    label: str
    group: Group
    bits: int
    facts: ModelFacts
    cost: Cost
    dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    batch: tuple[int, int] | None = None
    search: Search = Search.FEWEST
    is_estimate: bool = False
    absent: str = ""
    reason: str = ""
    note: str = ""


# Costs of a checkpoint that the user names, by the precision it is stored in.
_VARIANT_COSTS = {
    Precision.FP8: costs.FP8_PUBLISHED,
    Precision.INT8: costs.W8A8,
    Precision.INT4: costs.INT4,
}
_VARIANT_BITS = {Precision.FP32: 32, Precision.FP8: 8, Precision.INT8: 8, Precision.INT4: 4}
_GROUPS = {32: Group.SIXTEEN, 16: Group.SIXTEEN, 8: Group.EIGHT, 4: Group.FOUR}
_BITS = {"fp32": 16, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "int4": 4, "fp4": 4}

Known = Mapping[CheckpointRef, ModelFacts | FactsRefusal | MetadataFailure]


def compared_methods(
    request: PlanRequest, facts: ModelFacts, known: Known, version: EngineVersion
) -> tuple[ComparedMethod, ...]:
    """List every method for a model, in the order of the table.

    Args:
        request: what is asked for.
        facts: of the model itself.
        known: facts of its variants, or why they cannot be had.
        version: facts of the vLLM version.
    """
    stored = ComparedMethod(
        key="asStored",
        label=f"as stored, {facts.stored_precision}",
        group=Group.SIXTEEN,
        bits=_BITS.get(facts.stored_precision, 16),
        facts=facts,
        cost=costs.NOTHING,
        kv_cache_dtype=request.kv_cache_dtype,
    )
    stored = replace(stored, group=_GROUPS[stored.bits])
    variants = _variants(request, known, stored)
    taken = {checkpoint.precision for checkpoint in request.checkpoints[1:]}
    found = [stored, _cast(stored), *variants]
    found += [_online(stored, method, version) for method in (*EIGHT_ONLINE, *FOUR_ONLINE)]
    found += [
        _published(stored, method)
        for method in (*EIGHT_PUBLISHED, *FOUR_PUBLISHED)
        if method.precision not in taken and method.precision != facts.stored_precision
    ]
    found.append(_bitsandbytes(stored, version))
    order = list(Group)
    return (*sorted(found, key=lambda method: order.index(method.group)), *_settings(stored, request), _disk(stored))


def _cast(stored: ComparedMethod) -> ComparedMethod:
    facts = stored.facts
    to_bfloat16 = facts.stored_dtype == "float16"
    name, dtype = ("bf16", "bfloat16") if to_bfloat16 else ("fp16", "float16")
    cost = costs.BFLOAT16 if to_bfloat16 else costs.FLOAT16
    cast = replace(stored, key="cast", label=name, group=Group.SIXTEEN, bits=16, cost=cost, dtype=dtype)
    if facts.stored_quantization is None:
        return cast
    return replace(
        cast,
        reason="StoredQuantized",
        absent=f"{facts.model} is stored as {facts.stored_precision}, which vLLM does not turn back into 16 bits: name the original",
    )


def _online(stored: ComparedMethod, method: Online, version: EngineVersion) -> ComparedMethod:
    flag = method.flag if method.flag in version.online_methods or not method.older else method.older
    found = replace(
        stored,
        key=method.key,
        label=method.label,
        group=method.group,
        bits=method.bits,
        cost=method.cost,
        quantization=flag,
    )
    described = method_of(flag)
    if described is not None and described.experts_only and stored.facts.experts is None:
        return replace(
            found,
            reason="NothingToQuantize",
            absent=f"--quantization {flag} reaches routed experts only, and {stored.facts.model} has none: vLLM would start and keep "
            "every weight in 16 bits",
        )
    return found


def _published(stored: ComparedMethod, method: Published) -> ComparedMethod:
    facts, note = layouts.published(stored.facts, method.quantization)
    return replace(
        stored,
        key=method.key,
        label=method.label,
        group=method.group,
        bits=method.quantization.bits,
        facts=facts,
        cost=method.cost,
        is_estimate=True,
        note=note,
    )


def _variants(request: PlanRequest, known: Known, stored: ComparedMethod) -> list[ComparedMethod]:
    found = []
    for checkpoint in request.checkpoints[1:]:
        precision, ref = checkpoint.precision, checkpoint.ref
        bits = _VARIANT_BITS.get(precision, 16)
        method = replace(
            stored,
            key=f"variant:{precision}",
            label=f"{precision}, {ref.model}",
            group=_GROUPS[bits],
            bits=bits,
            cost=_VARIANT_COSTS.get(precision, costs.NOTHING),
        )
        facts = known[ref]
        if not isinstance(facts, ModelFacts):
            method = replace(method, reason=facts.reason, absent=facts.message)
        elif facts.stored_precision != precision:
            said = (
                f"{ref.model} is listed in spec.variants as {precision}, but it is stored as {facts.stored_precision}"
            )
            method = replace(method, reason="VariantMismatch", absent=said)
        else:
            method = replace(method, facts=facts)
        found.append(method)
    return found


def _settings(stored: ComparedMethod, request: PlanRequest) -> tuple[ComparedMethod, ...]:
    """What leaves the weights as they are stored."""
    same = replace(stored, group=Group.SAME)
    sequences = max(SMALL_BATCH_SEQUENCES, request.concurrency)
    batch = (max(SMALL_BATCH_TOKENS, sequences), sequences)
    found = (
        replace(same, key="fp8KvCache", label="fp8 KV cache", kv_cache_dtype="fp8", cost=costs.FP8_KV_CACHE),
        replace(same, key="smallBatch", label=f"{batch[0]:,} batched tokens", batch=batch, cost=costs.SMALL_BATCH),
        replace(same, key="shorterContext", label="shorter context", search=Search.SHORTER, cost=costs.SHORTER),
        replace(same, key="wholeNode", label="all GPUs of a node", search=Search.WHOLE_NODE, cost=costs.WHOLE_NODE),
        replace(same, key="pipeline", label="pipeline parallel", search=Search.STAGES, cost=costs.STAGES),
        replace(same, key="cpuOffload", label="weights in host memory", search=Search.OFFLOAD, cost=costs.OFFLOAD),
    )
    return tuple(
        method for method in found if method.key != "fp8KvCache" or not request.kv_cache_dtype.startswith("fp8")
    )


def _bitsandbytes(stored: ComparedMethod, version: EngineVersion) -> ComparedMethod:
    has_it = "bitsandbytes" in version.methods
    return replace(
        stored,
        key="bitsandbytes",
        label="int4 bitsandbytes, while loading",
        group=Group.FOUR,
        bits=4,
        cost=costs.BITSANDBYTES,
        reason="NotSized" if has_it else "UnknownQuantization",
        absent=(
            f"vLLM {version.text} has it, and 0.28 has dropped it: not sized here"
            if has_it
            else f"vLLM {version.text} does not have it: it left with 0.28, for a plugin that stock images lack. Instead: mxfp4 while "
            "loading, or a published AWQ or GPTQ checkpoint"
        ),
    )


def _disk(stored: ComparedMethod) -> ComparedMethod:
    return replace(
        stored,
        key="diskOffload",
        label="layers on disk",
        group=Group.ABSENT,
        cost=costs.DISK,
        reason="NoDiskOffload",
        absent="vLLM keeps no weights on disk while it runs. It has host memory for weights (the row above), and for KV cache that is "
        "not in use: --kv-offloading-size in host memory, with folders or object stores behind it. Neither lowers what weights "
        "need on the GPU",
    )
