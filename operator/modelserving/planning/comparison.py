"""Every method for one model on every kind of node: what it weighs, how few GPUs it takes, what that leaves room for.

The figures come from the same rules and the same arithmetic that plan; nothing here has sizes of its own. A model that vLLM has no
class for is sized as if it had one: the comparison then says what it would take, and that it does not run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelserving.cluster.capacity import NodeShape
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.defaults import resolve_dtype
from modelserving.engine.device import Gpu
from modelserving.engine.quantization import capability_number
from modelserving.engine.versions import EngineVersion, engine_version
from modelserving.models.facts import ModelFacts
from modelserving.models.metadata import Origin
from modelserving.planning import explanation
from modelserving.planning.comparison_limits import longest_context, pcie_bytes_per_second, pcie_generation
from modelserving.planning.comparison_methods import ComparedMethod, Known, compared_methods
from modelserving.planning.comparison_search import find_layout
from modelserving.planning.comparison_trial import Layout, Trial
from modelserving.planning.placing import usable_shapes
from modelserving.planning.plan import Rejection
from modelserving.planning.request import PlanRequest
from modelserving.sizing.budget import MemoryEstimate
from modelserving.sizing.memory import estimate
from modelserving.units import GB, format_gib

# An architecture of no special rules, in whose place a model is sized that vLLM has no class for.
STAND_IN = "LlamaForCausalLM"
# What a model weighs does not depend on a GPU, but on which types it has: one that has all, whose kernels pad the least.
_REFERENCE = Gpu("reference", 0, (9, 0))
# From here on GPUs compute in fp8 (Ada); before, fp8 weights are only read.
_FP8_CAPABILITY = 89


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method takes on one kind of node.

    Attributes:
        layout: the fewest GPUs that work; None if none do.
        longest_context: tokens that a request could have there, with the concurrency asked for; 0 without a layout.
        reason: CamelCase, why there is no layout; empty if there is one.
        message: sentence for `reason`.
        note: what this method costs on this GPU besides; empty if nothing.
    """

    shape: NodeShape
    layout: Layout | None = None
    longest_context: int = 0
    reason: str = ""
    message: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One method.

    Attributes:
        weights_bytes: weights and buffers of the whole model in one piece; None where they are not known.
        bytes_per_parameter: of those, by the parameters that the model has; None likewise.
        kv_cache_bytes: KV cache of what is asked for, over the whole model; None likewise.
        answers: one for each kind of node, in their order; empty where vLLM does not have the method.
    """

    method: ComparedMethod
    weights_bytes: int | None
    bytes_per_parameter: float | None
    kv_cache_bytes: int | None
    answers: tuple[Answer, ...]

    @property
    def works(self) -> bool:
        """Whether there is a kind of node that it works on."""
        return any(answer.layout is not None for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every method for one model.

    Attributes:
        cannot_run: why this vLLM cannot run the model at all, and what runs instead; empty if it can.
        notes: what was assumed, and where facts came from.
    """

    facts: ModelFacts
    request: PlanRequest
    version: EngineVersion
    shapes: tuple[NodeShape, ...]
    rows: tuple[Row, ...]
    cannot_run: str = ""
    notes: tuple[str, ...] = ()

    @property
    def context_length(self) -> int:
        """Tokens of a request."""
        return self.request.context_length or self.facts.max_model_len

    @property
    def works(self) -> bool:
        """Whether vLLM would run the model by any method on any of the nodes."""
        return not self.cannot_run and any(row.works for row in self.rows)


def compare(request: PlanRequest, known: Known, snapshot: ClusterSnapshot) -> Comparison | Rejection:
    """Compare all methods, or say why there is nothing to compare.

    Args:
        request: what is asked for; its precision, parallel sizes and offload do not count, since all are looked at.
        known: facts of the model and of its variants, or why they cannot be had.
        snapshot: nodes and bound pods; what is free does not count.
    """
    version = engine_version(request.engine_version)
    facts = known[request.checkpoints[0].ref]
    if not isinstance(facts, ModelFacts):
        return Rejection(facts.reason, facts.message)
    if request.context_length is not None and request.context_length > facts.max_model_len:
        return Rejection(
            "ContextTooLong",
            f"{facts.model} is made for at most {facts.max_model_len:,} tokens; {request.context_length:,} were asked for. "
            f"Set contextLength to {facts.max_model_len} or less.",
        )
    usable = usable_shapes(request, snapshot)
    shapes = tuple(shape for shape in usable if not request.gpu_products or shape.gpu.product in request.gpu_products)
    if not shapes:
        return explanation.no_nodes(request, snapshot, usable)
    cannot_run = _cannot_run(facts, version)
    sized = replace(facts, architecture=STAND_IN) if cannot_run else facts
    methods = compared_methods(request, sized, _as_if_supported(known, version), version)
    rows = tuple(_row(method, request, facts, shapes, version) for method in methods)
    return Comparison(facts, request, version, shapes, rows, cannot_run, _notes(facts, rows, version))


def _cannot_run(facts: ModelFacts, version: EngineVersion) -> str:
    if version.supports(facts.architecture):
        return ""
    instead = (
        f"{facts.runs_instead} runs instead, a converted model of the same family."
        if facts.runs_instead
        else "No converted checkpoint of it is known to us."
    )
    return (
        f"vLLM {version.text} cannot run {facts.model}: it has no model class {facts.architecture}. {instead} The sizes are those it "
        "would have."
    )


def _as_if_supported(known: Known, version: EngineVersion) -> Known:
    return {
        ref: replace(facts, architecture=STAND_IN)
        if isinstance(facts, ModelFacts) and not version.supports(facts.architecture)
        else facts
        for ref, facts in known.items()
    }


def _row(
    method: ComparedMethod,
    request: PlanRequest,
    facts: ModelFacts,
    shapes: Sequence[NodeShape],
    version: EngineVersion,
) -> Row:
    if method.absent:
        return Row(method, None, None, None, ())
    answers = tuple(_answer(Trial(method, request, shape, version)) for shape in shapes)
    whole = _whole(method, request, version)
    if whole is None:
        return Row(method, None, None, None, answers)
    weights = whole.tightest_rank.weights.value
    return Row(method, weights, weights / facts.parameter_count, whole.kv_cache.requested_bytes, answers)


def _whole(method: ComparedMethod, request: PlanRequest, version: EngineVersion) -> MemoryEstimate | None:
    """Sizes of the whole model in one piece; None where vLLM would not make it so."""
    stored = method.facts.stored_quantization
    if method.quantization is not None and (stored is not None or method.quantization not in version.online_methods):
        return None
    dtype = resolve_dtype(method.facts, method.dtype, _REFERENCE)
    if isinstance(dtype, EngineRefusal):
        return None
    length = request.context_length or method.facts.max_model_len
    config = EngineConfig(
        *(length, 1, 1, 1.0), dtype=dtype, quantization=method.quantization, kv_cache_dtype=method.kv_cache_dtype
    )
    return estimate(method.facts, config, _REFERENCE, version, request.concurrency)


def _answer(trial: Trial) -> Answer:
    found = find_layout(trial)
    if not isinstance(found, Layout):
        return Answer(trial.shape, reason=found.reason, message=found.message)
    longest = longest_context(trial, found.config, found.memory)
    return Answer(trial.shape, found, longest, note=_note(trial, found))


def _note(trial: Trial, layout: Layout) -> str:
    gpu, offloaded = trial.shape.gpu, layout.memory.tightest_rank.offloaded_bytes
    if offloaded:
        rate = pcie_bytes_per_second(gpu)
        seconds, lanes = (
            f"{offloaded / rate:.1f} s a step",
            f"over 16 lanes of PCIe {pcie_generation(gpu)}, {rate / GB:.1f} GB/s",
        )
        # Of routed experts only those are read that a step's tokens go to.
        how_long = f"at least {seconds} {lanes}"
        if trial.method.facts.experts is not None:
            how_long = f"{seconds} {lanes}, where its tokens go to every expert"
        return f"{format_gib(offloaded)} for each GPU, {how_long}"
    stored = trial.method.facts.stored_quantization
    is_fp8 = (trial.method.quantization or "").startswith("fp8") or (
        stored is not None and stored.is_float and stored.bits == 8
    )
    if is_fp8 and capability_number(gpu) < _FP8_CAPABILITY:
        return "computes in 16 bits: fp8 saves memory there, and no arithmetic"
    return ""


def _notes(facts: ModelFacts, rows: Sequence[Row], version: EngineVersion) -> tuple[str, ...]:
    notes = []
    if facts.origin is Origin.CATALOGUE:
        notes.append(
            f"Facts of {facts.model} come from the catalogue bundled with the operator: no Hub could be asked, so its revision "
            f"{facts.revision} is not pinned to a commit."
        )
    notes += facts.assumptions
    if any(row.method.is_estimate for row in rows):
        notes.append(
            "“Published” without a name: sizes that a checkpoint of this model would have in that layout. Whether anybody has published "
            "one was not looked up; name one in spec.variants and its own figures are shown."
        )
    padded: dict[str, list[str]] = {}
    for row in rows:
        if row.method.note:
            padded.setdefault(row.method.note, []).append(row.method.label)
    notes += [f"{'; '.join(labels)}: {note}." for note, labels in padded.items()]
    if version.note:
        notes.append(version.note)
    return tuple(dict.fromkeys(notes))
