"""One resource -> its plan or rejection: the very functions that the operator calls, in its order."""

from collections.abc import Mapping
from dataclasses import dataclass

from modelserving.api.reasons import Reason
from modelserving.cli.exits import Exit
from modelserving.cli.lookup import Lookup
from modelserving.cli.resources import Resource
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.engine.flags import check_extra_args
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata
from modelserving.models.reader import read_facts
from modelserving.planning.checkpoints import wanted
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from modelserving.planning.request import PlanRequest, request_from
from modelserving.planning.supported import unsupported
from modelserving.render.names import owner_label
from modelserving.settings import Settings


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one resource.

    Attributes:
        resource: which.
        result: the plan or the rejection.
        exit: what it means for the exit code.
    """

    resource: Resource
    result: Plan | Rejection
    exit: Exit

    @property
    def reason(self) -> str:
        """CamelCase reason, as the condition `Planned` would carry it."""
        if isinstance(self.result, Rejection):
            return str(self.result.reason)
        return str(Reason.PLAN_WAITS if self.result.placement.waiting else Reason.PLAN_FITS)

    @property
    def message(self) -> str:
        """Sentence, as the condition `Planned` would carry it."""
        return self.result.message if isinstance(self.result, Rejection) else self.result.decision


def decide(resource: Resource, snapshot: ClusterSnapshot, lookup: Lookup, settings: Settings) -> Outcome:
    """Plan one resource."""
    if refused := _refused(resource, settings):
        return Outcome(resource, refused, Exit.REJECTED)
    request = _request(resource, settings)
    facts = _facts(request, lookup)
    result = plan(request, facts, snapshot)
    if isinstance(result, Plan):
        return Outcome(resource, result, Exit.PLANNED)
    return Outcome(resource, result, Exit.NO_FACTS if _for_want_of_facts(result, facts) else Exit.REJECTED)


def refs_of(resource: Resource, settings: Settings) -> tuple[CheckpointRef, ...]:
    """Name the checkpoints whose metadata `decide` will look up; none where the resource is refused before."""
    if _refused(resource, settings):
        return ()
    return wanted(_request(resource, settings))


def _request(resource: Resource, settings: Settings) -> PlanRequest:
    metadata, spec = resource.serving.metadata, resource.serving.spec
    # Pods carry the resource's name as a label, which cuts what is too long.
    return request_from(f"{metadata.namespace}/{owner_label(metadata.name)}", spec, settings.engine_version)


def _refused(resource: Resource, settings: Settings) -> Rejection | None:
    spec = resource.serving.spec
    if refused := unsupported(spec, settings.allow_host_path):
        return refused
    problem = check_extra_args(spec.engine.extra_args, _request(resource, settings).engine_version)
    return Rejection(str(problem.reason), problem.message) if problem else None


def _facts(request: PlanRequest, lookup: Lookup) -> Mapping[CheckpointRef, ModelFacts | FactsRefusal | MetadataFailure]:
    metadata = {ref: lookup(ref) for ref in wanted(request)}
    return {ref: read_facts(known) if isinstance(known, ModelMetadata) else known for ref, known in metadata.items()}


def _for_want_of_facts(
    rejection: Rejection, facts: Mapping[CheckpointRef, ModelFacts | FactsRefusal | MetadataFailure]
) -> bool:
    return any(
        isinstance(known, MetadataFailure) and (known.reason, known.message) == (rejection.reason, rejection.message)
        for known in facts.values()
    )
