"""The one decision: request, facts and snapshot become a plan or a rejection.

    methods      ways to serve what is asked: as stored, cast, quantized while loading, a variant
    shapes       nodes without an obstacle, grouped by their GPUs, with what is free on them
    candidates   method x shape x tensor parallel size, in the order of preference
    evaluation   would vLLM start (rules), does the memory suffice (arithmetic)

The first candidate that passes and whose GPUs are free is taken; if none is free, the first that passes, and the plan says what it
waits for. Pure and deterministic: the order of nodes and pods does not matter, the same input gives the same plan.
"""

from collections.abc import Mapping, Sequence

from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.engine.versions import EngineVersion, engine_version
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure, Origin
from modelserving.planning import explanation
from modelserving.planning.candidates import Candidate, enumerate_candidates
from modelserving.planning.checkpoints import Method, methods
from modelserving.planning.evaluation import Evaluated, evaluate
from modelserving.planning.placing import place, usable_shapes
from modelserving.planning.plan import Alternative, Plan, Rejected, Rejection
from modelserving.planning.request import PlanRequest
from modelserving.units import format_gib

# Alternatives shown beside a plan: one for each other product, at most this many.
MOST_ALTERNATIVES = 3


def plan(
    request: PlanRequest,
    facts: Mapping[CheckpointRef, ModelFacts | FactsRefusal | MetadataFailure],
    snapshot: ClusterSnapshot,
) -> Plan | Rejection:
    """Choose the fewest GPUs that vLLM can really run the model on, or say why there are none.

    Args:
        request: what is asked for.
        facts: of every checkpoint in `checkpoints.wanted(request)`, or why they cannot be had.
        snapshot: nodes and bound pods.
    """
    version = engine_version(request.engine_version)
    ways = methods(request, facts)
    if isinstance(ways, Rejection):
        return ways
    usable = usable_shapes(request, snapshot)
    candidates = enumerate_candidates(request, ways, usable)
    if not candidates:
        return explanation.no_nodes(request, snapshot, usable)
    passed, rejected = _search(request, candidates, version)
    notes = _notes(ways, version)
    chosen = passed[0] if passed else None
    if chosen is None:
        refused = explanation.rejection(request, ways, rejected, _sizes(ways))
        return Rejection(refused.reason, refused.message, refused.rejected, notes)
    return _plan(request, snapshot, chosen, passed, rejected, notes)


def _search(
    request: PlanRequest, candidates: Sequence[Candidate], version: EngineVersion
) -> tuple[list[Evaluated], list[Rejected]]:
    """Evaluate candidates in order; the best comes first among those that pass, free GPUs before busy ones.

    Stops once the best is known and `MOST_ALTERNATIVES` other products were seen to work. Of a product that works with n GPUs no more
    than n are looked at, unless those n are not free.
    """
    passed: list[Evaluated] = []
    rejected: list[Rejected] = []
    settled: set[str] = set()
    for candidate in candidates:
        shape = candidate.shape
        if shape.gpu.product in settled:
            continue
        outcome = evaluate(request, candidate, version)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
            continue
        passed.append(outcome)
        settled.add(shape.gpu.product)
        if len(passed) > MOST_ALTERNATIVES and any(_free(request, earlier) for earlier in passed):
            break
    return sorted(passed, key=lambda outcome: not _free(request, outcome)), rejected


def _free(request: PlanRequest, outcome: Evaluated) -> bool:
    candidate = outcome.candidate
    return candidate.shape.replicas_free(candidate.gpus, outcome.memory.host_memory_bytes) >= request.replicas


def _sizes(ways: Sequence[Method]) -> str:
    """State what each way weighs: the first thing a person wants to know of a model that does not run."""
    return "; ".join(
        f"{way.facts.model} has {format_gib(way.facts.checkpoint_bytes)} of weights in {way.facts.stored_precision}"
        for way in ways
    )


def _notes(ways: Sequence[Method], version: EngineVersion) -> tuple[str, ...]:
    notes = []
    for facts in (way.facts for way in ways):
        if facts.origin is Origin.CATALOGUE:
            notes.append(
                f"Facts of {facts.model} come from the catalogue bundled with the operator: no Hub could be asked, so its "
                f"revision {facts.revision} is not pinned to a commit."
            )
        notes.extend(facts.assumptions)
    return (*notes, version.note) if version.note else tuple(notes)


def _alternatives(chosen: Evaluated, passed: Sequence[Evaluated]) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(
            outcome.candidate.label,
            f"{outcome.precision}, {format_gib(outcome.memory.tightest_rank.weights.value)} of weights on each GPU, "
            f"{outcome.memory.max_concurrency:.1f} requests of full length at once",
        )
        for outcome in passed
        if outcome is not chosen
    )[:MOST_ALTERNATIVES]


def _plan(
    request: PlanRequest,
    snapshot: ClusterSnapshot,
    chosen: Evaluated,
    passed: Sequence[Evaluated],
    rejected: Sequence[Rejected],
    notes: tuple[str, ...],
) -> Plan:
    method = chosen.candidate.method
    stored = method.facts.stored_quantization
    return Plan(
        model=method.facts.model,
        revision=method.facts.revision,
        origin=method.facts.origin.value,
        architecture=method.facts.architecture,
        parameter_count=method.facts.parameter_count,
        precision=chosen.precision,
        stored=chosen.stored,
        quantization=chosen.config.quantization or (stored.method if stored else None),
        engine_version=request.engine_version,
        config=chosen.config,
        placement=place(
            request, snapshot, chosen.candidate.shape, chosen.candidate.gpus, chosen.memory.host_memory_bytes
        ),
        memory=chosen.memory,
        concurrency=request.concurrency,
        checkpoint_bytes=method.facts.checkpoint_bytes,
        decision=explanation.decision(request, chosen),
        rejected=_worth_showing(chosen, rejected),
        alternatives=_alternatives(chosen, passed),
        notes=tuple(dict.fromkeys(notes + chosen.memory.assumptions)),
        request_digest=request.digest(),
    )


def _worth_showing(chosen: Evaluated, rejected: Sequence[Rejected]) -> tuple[Rejected, ...]:
    """Keep the rejected candidates that would have been preferred to the chosen one."""
    return tuple(entry for entry in rejected if entry.gpus <= chosen.candidate.gpus)
