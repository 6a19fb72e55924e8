"""The four conditions of a ModelServing.

Planned      is there a plan for the spec as it is now?         False: why not; what runs is not touched
Available    does at least one pod answer?
Progressing  is a rollout under way?
Degraded     is something wrong with what runs?                  True also when what runs is not what the spec says
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelserving.api.reasons import ConditionType, Reason
from modelserving.planning.plan import Plan, Rejection
from modelserving.render.workload import WorkloadObservation

_DIGITS = re.compile(r"\d+")
# metav1.Condition: maxLength of message is 32768 characters.
LONGEST_MESSAGE = 32768


@dataclass(frozen=True, slots=True)
class Subject:
    """The ModelServing that status is about; all that is known of it even where its spec is invalid.

    Attributes:
        namespace: its namespace.
        name: its name.
        generation: of the spec that was looked at.
        replicas: wanted.
        plan_only: nothing is to run.
    """

    namespace: str
    name: str
    generation: int
    replicas: int = 1
    plan_only: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition without its time."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def findings(
    subject: Subject,
    outcome: Plan | Rejection | None,
    workload: WorkloadObservation | None,
    reading: str,
    cluster_problem: str,
    contested: bool = False,
) -> tuple[Finding, Finding, Finding, Finding]:
    """Judge, in the order Planned, Available, Progressing, Degraded."""
    return (
        _planned(outcome, workload, reading),
        _available(subject, workload),
        _progressing(subject, workload),
        _degraded(outcome, workload, cluster_problem, contested),
    )


def _planned(outcome: Plan | Rejection | None, workload: WorkloadObservation | None, reading: str) -> Finding:
    kind = ConditionType.PLANNED
    if outcome is None:
        return Finding(kind, "Unknown", Reason.READING_FACTS, reading or "The facts of the model are being read.")
    if isinstance(outcome, Rejection):
        return Finding(kind, "False", outcome.reason, outcome.message)
    if waits(outcome, workload):
        return Finding(kind, "True", Reason.PLAN_WAITS, f"{outcome.decision} {outcome.placement.waiting}".strip())
    return Finding(kind, "True", Reason.PLAN_FITS, outcome.decision)


def waits(plan: Plan, workload: WorkloadObservation | None) -> bool:
    """Whether a plan that found no free GPUs is still without them: its pods are not all ready."""
    return bool(plan.placement.waiting) and (workload is None or workload.ready < workload.desired)


def _available(subject: Subject, workload: WorkloadObservation | None) -> Finding:
    kind = ConditionType.AVAILABLE
    if workload is None:
        return Finding(kind, "False", *_absent(subject))
    if workload.desired == 0:
        return Finding(kind, "False", Reason.SCALED_TO_ZERO, "spec.replicas is 0: no pod is to run.")
    if workload.ready == 0:
        reason = workload.problem_reason or Reason.PODS_NOT_READY
        return Finding(kind, "False", reason, _pods(workload, "No pod answers yet"))
    return Finding(kind, "True", Reason.PODS_READY, f"{_ready(workload)} answer.")


def _progressing(subject: Subject, workload: WorkloadObservation | None) -> Finding:
    kind = ConditionType.PROGRESSING
    if workload is None:
        return Finding(kind, "False", *_absent(subject))
    if workload.stalled:
        return Finding(kind, "False", Reason.STALLED, _stalled(workload))
    if workload.rolled_out:
        return Finding(kind, "False", Reason.ROLLED_OUT, "All pods run the plan.")
    old = max(0, workload.replicas - workload.updated)
    older = f", {old} of the plan before still run" if old else ""
    counts = f"{workload.updated} of {workload.desired} pods are made by the plan{older}; {workload.ready} answer"
    return Finding(kind, "True", Reason.ROLLING_OUT, _pods(workload, counts))


def _degraded(
    outcome: Plan | Rejection | None, workload: WorkloadObservation | None, cluster_problem: str, contested: bool
) -> Finding:
    kind = ConditionType.DEGRADED
    if workload is None:
        return Finding(kind, "False", Reason.NO_WORKLOAD, "Nothing runs that could be degraded.")
    if isinstance(outcome, Rejection):
        text = f"The spec as it is now was not applied ({outcome.reason}); the previous plan keeps serving."
        return Finding(kind, "True", Reason.SPEC_NOT_APPLIED, text)
    if cluster_problem:
        return Finding(kind, "True", Reason.CONTESTED if contested else Reason.NODES_CHANGED, cluster_problem)
    if workload.problem_reason and workload.ready < workload.desired:
        counts = f"{_ready(workload)} answer" if workload.ready else "No pod answers"
        return Finding(kind, "True", workload.problem_reason, _pods(workload, counts))
    if workload.stalled:
        return Finding(kind, "True", Reason.STALLED, _stalled(workload))
    if workload.rolled_out and workload.ready < workload.desired:
        return Finding(kind, "True", Reason.PODS_NOT_READY, _pods(workload, f"Only {_ready(workload)} answer"))
    return Finding(kind, "False", Reason.HEALTHY, "Nothing is wrong.")


# What pods that wait for GPUs look like.
_NOT_PLACED = (Reason.PODS_NOT_READY, Reason.STALLED, Reason.POD_UNSCHEDULABLE)


def _absent(subject: Subject) -> tuple[str, str]:
    if subject.plan_only:
        return Reason.PLAN_ONLY, "spec.planOnly is true: the plan is shown and nothing runs."
    return Reason.NO_WORKLOAD, "Nothing runs yet."


def _ready(workload: WorkloadObservation) -> str:
    return f"{min(workload.ready, workload.desired)} of {workload.desired} pods"


def _pods(workload: WorkloadObservation, counts: str) -> str:
    return f"{counts}: {workload.problem}" if workload.problem else f"{counts}."


def _stalled(workload: WorkloadObservation) -> str:
    told = workload.problem or workload.progressing_message
    counts = f"{workload.updated} of {workload.desired} pods run the plan, {workload.ready} answer, and nothing moves any more"
    return f"{counts}: {told}" if told else f"{counts}."


def most_important(found: Iterable[Finding], waiting: bool) -> str:
    """Choose the reason that a person should see first: no plan, something wrong, waiting, under way, not there, fine."""
    by_type = {finding.type: finding for finding in found}
    planned, available = by_type[ConditionType.PLANNED], by_type[ConditionType.AVAILABLE]
    degraded, progressing = by_type[ConditionType.DEGRADED], by_type[ConditionType.PROGRESSING]
    if planned.status != "True":
        return planned.reason
    # Pods that wait for GPUs are not ready either; what they wait for says more.
    if waiting and (degraded.status != "True" or degraded.reason in _NOT_PLACED):
        return Reason.PLAN_WAITS
    if degraded.status == "True":
        return degraded.reason
    return progressing.reason if progressing.status == "True" else available.reason


def as_conditions(
    found: Iterable[Finding], previous: Iterable[Mapping[str, Any]], generation: int, now: str
) -> list[dict[str, Any]]:
    """Write conditions; the time of a transition is kept while the status stays."""
    before = {condition.get("type"): condition for condition in previous}
    return [
        {
            "type": finding.type.value,
            "status": finding.status,
            "reason": str(finding.reason),
            "message": _message(finding, before.get(finding.type.value, {}), generation),
            "lastTransitionTime": _since(before.get(finding.type.value, {}), finding.status, now),
            "observedGeneration": generation,
        }
        for finding in found
    ]


def _message(finding: Finding, before: Mapping[str, Any], generation: int) -> str:
    """The sentence; the one before where nothing but counts of the cluster are others: each change of a node would write it anew."""
    message, known = shortened(finding.message, LONGEST_MESSAGE), before.get("message")
    same = (before.get("reason"), before.get("observedGeneration")) == (finding.reason, generation)
    counted = finding.reason in (Reason.PLAN_WAITS, Reason.POD_UNSCHEDULABLE)
    if same and counted and isinstance(known, str) and _DIGITS.sub("", known) == _DIGITS.sub("", message):
        return known
    return message


def _since(before: Mapping[str, Any], status: str, now: str) -> str:
    since = before.get("lastTransitionTime")
    return since if before.get("status") == status and isinstance(since, str) and since else now


def shortened(text: str, longest: int) -> str:
    """Cut a text to a number of characters, saying so by an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
