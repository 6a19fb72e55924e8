"""A workload as observed: the few numbers of a live Deployment that status tells of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Reasons of a Deployment's Progressing condition: kubernetes/pkg/controller/deployment/util, deployment_util.go.
COMPLETE = "NewReplicaSetAvailable"
DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True)
class WorkloadObservation:
    """What a live workload says of itself.

    Attributes:
        generation: of its spec; 0 where it was just applied and nothing was read back yet.
        observed_generation: the one its controller has acted on.
        desired: pods wanted.
        replicas: pods that exist.
        updated: pods of the current template.
        ready: pods that answer.
        available: pods that have been ready long enough.
        unavailable: pods missing to what is wanted.
        progressing_reason: reason of its Progressing condition.
        progressing_message: message of that condition.
        problem: sentence on what keeps pods from being ready, as their own status tells; empty if unknown.
        problem_reason: the same in one word.
    """

    generation: int = 0
    observed_generation: int = 0
    desired: int = 1
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    unavailable: int = 0
    progressing_reason: str = ""
    progressing_message: str = ""
    problem: str = ""
    problem_reason: str = ""

    @property
    def stalled(self) -> bool:
        """Whether its rollout made no progress for longer than it may take."""
        return self._caught_up and self.progressing_reason == DEADLINE_EXCEEDED and not self.rolled_out

    @property
    def rolled_out(self) -> bool:
        """Whether every pod has the current template and all were ready once, even if some are not now."""
        settled = self._caught_up and self.updated >= self.desired and self.replicas <= self.updated
        return settled and (self.progressing_reason == COMPLETE or self.available >= self.desired)

    @property
    def _caught_up(self) -> bool:
        return 0 < self.generation <= self.observed_generation


def observed(deployment: Mapping[str, Any], problem: str = "", problem_reason: str = "") -> WorkloadObservation:
    """Read a live Deployment."""
    spec, status = _mapping(deployment.get("spec")), _mapping(deployment.get("status"))
    conditions = status.get("conditions")
    progressing: Mapping[str, Any] = next(
        (c for c in conditions or () if isinstance(c, Mapping) and c.get("type") == "Progressing"), {}
    )
    return WorkloadObservation(
        generation=_number(_mapping(deployment.get("metadata")).get("generation")),
        observed_generation=_number(status.get("observedGeneration")),
        desired=_number(spec.get("replicas"), absent=1),
        replicas=_number(status.get("replicas")),
        updated=_number(status.get("updatedReplicas")),
        ready=_number(status.get("readyReplicas")),
        available=_number(status.get("availableReplicas")),
        unavailable=_number(status.get("unavailableReplicas")),
        progressing_reason=str(progressing.get("reason", "")),
        progressing_message=str(progressing.get("message", "")),
        problem=problem,
        problem_reason=problem_reason,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any, absent: int = 0) -> int:
    return value if isinstance(value, int) else absent
