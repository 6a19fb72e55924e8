"""The one decision: request, facts and snapshot become a plan or a rejection.

    methods      ways to serve what is asked: as stored, cast, quantized while loading, a variant      planning.checkpoints
    shapes       nodes without an obstacle, grouped by their GPUs, with what is free on them           cluster.capacity
    candidates   method x shape x layout, in the order of preference                                   planning.candidates
    evaluation   would vLLM start (rules), does the memory suffice (arithmetic)                        planning.evaluation
    search       as asked first; then, where nothing fits, what the user's fallbacks allow             planning.search

Pure and deterministic: the order of nodes and pods does not matter, the same input gives the same plan.
"""

from collections.abc import Iterable, Mapping, Sequence

from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.engine.versions import EngineVersion, engine_version
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure, Origin
from modelserving.planning import explanation
from modelserving.planning.checkpoints import Method, methods
from modelserving.planning.evaluation import Evaluated
from modelserving.planning.placing import place, quota_in_the_way, shapes_to_be, usable_shapes
from modelserving.planning.plan import Alternative, Plan, Rejected, Rejection
from modelserving.planning.remedies import remedies
from modelserving.planning.request import PlanRequest
from modelserving.planning.search import MOST_ALTERNATIVES, Found, Search, pod_need
from modelserving.units import format_gib


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
    ways = methods(request, facts, request.precision)
    if isinstance(ways, Rejection) and not request.fallbacks:
        return ways
    usable = usable_shapes(request, snapshot)
    sources = tuple(
        tuple(shape for shape in found if not request.gpu_products or shape.gpu.product in request.gpu_products)
        for found in (usable, shapes_to_be(request, snapshot))
    )
    if not any(sources):
        return explanation.no_nodes(request, snapshot, usable)
    search = Search(request, facts, version, sources, quota=lambda outcome: _quota(request, snapshot, outcome))
    asked = search.as_asked()
    found = asked if asked.passed or not request.fallbacks else search.with_fallbacks()
    if found.passed:
        return _plan(request, snapshot, found, asked.rejected, version)
    if isinstance(ways, Rejection):
        return ways
    if not asked.rejected:
        return explanation.no_layout(request, (*sources[0], *sources[1]))
    notes = _notes((way.facts for way in ways), version)
    refused = explanation.rejection(request, ways, asked.rejected, _sizes(ways), remedies(search))
    return Rejection(refused.reason, refused.message, refused.rejected, notes, refused.remedies)


def _quota(request: PlanRequest, snapshot: ClusterSnapshot, outcome: Evaluated) -> str:
    """What a quota has against a candidate for good; empty if nothing."""
    candidate = outcome.candidate
    need, resource = pod_need(request, outcome), candidate.shape.gpu_resource
    found = quota_in_the_way(request, snapshot, resource, candidate.layout, need) if snapshot.quotas else None
    return found.message if found is not None and found.never else ""


def _sizes(ways: Sequence[Method]) -> str:
    """State what each way weighs: the first thing a person wants to know of a model that does not run."""
    return "; ".join(
        f"{way.facts.model} has {format_gib(way.facts.checkpoint_bytes)} of weights in {way.facts.stored_precision}"
        for way in ways
    )


def _notes(served: Iterable[ModelFacts], version: EngineVersion) -> tuple[str, ...]:
    notes = []
    for facts in served:
        if facts.origin is Origin.CATALOGUE:
            notes.append(
                f"Facts of {facts.model} come from the catalogue bundled with the operator: no Hub could be asked, so its "
                f"revision {facts.revision} is not pinned to a commit."
            )
        notes.extend(facts.assumptions)
    return (*notes, version.note) if version.note else tuple(notes)


def _alternatives(passed: Sequence[Evaluated]) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(
            outcome.candidate.label,
            f"{outcome.precision}, {format_gib(outcome.memory.tightest_rank.weights.value)} of weights on each GPU, "
            f"{outcome.memory.max_concurrency:.1f} requests of full length at once",
        )
        for outcome in passed[1:]
    )[:MOST_ALTERNATIVES]


def _plan(
    request: PlanRequest,
    snapshot: ClusterSnapshot,
    found: Found,
    rejected: Sequence[Rejected],
    version: EngineVersion,
) -> Plan:
    chosen = found.passed[0]
    candidate, method = chosen.candidate, chosen.candidate.method
    stored = method.facts.stored_quantization
    notes = _notes((method.facts,), version) + chosen.memory.assumptions + explanation.cautions(chosen)
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
        placement=place(request, snapshot, candidate.shape, candidate.layout, pod_need(request, chosen)),
        memory=chosen.memory,
        concurrency=request.concurrency,
        checkpoint_bytes=method.facts.checkpoint_bytes,
        decision=explanation.decision(request, chosen),
        given_up=tuple(fallback.value for fallback in candidate.rung.given_up),
        rejected=_worth_showing(chosen, rejected),
        alternatives=_alternatives(found.passed),
        notes=tuple(dict.fromkeys(notes)),
        request_digest=request.digest(),
    )


def _worth_showing(chosen: Evaluated, rejected: Sequence[Rejected]) -> tuple[Rejected, ...]:
    """Keep the rejected candidates that would have been preferred to the chosen one."""
    if chosen.candidate.rung.given_up:
        return tuple(rejected)
    return tuple(entry for entry in rejected if entry.gpus <= chosen.candidate.gpus)
