from typing import Any

import pytest

from modelserving.planning.plan import Plan, Rejection
from modelserving.render.conditions import Subject
from modelserving.render.status import observe
from modelserving.render.transitions import LONGEST_EVENT_BYTES, EventToPost, transitions
from modelserving.render.workload import WorkloadObservation
from render_cases import plan

SUBJECT = Subject("ml", "llava", generation=3)
REFUSED = Rejection("InsufficientGPUMemory", "too large")


def _workload(ready: int, reason: str = "") -> WorkloadObservation:
    return WorkloadObservation(2, 2, 1, 1, 1, ready, ready, 1 - ready, reason)


def _status(
    outcome: Plan | Rejection | None, workload: WorkloadObservation | None = None, **subject: Any
) -> dict[str, Any]:
    about = Subject("ml", "llava", 3, **subject)
    return observe(about, None, outcome, workload, now="2026-11-23T20:00:00Z", in_force=plan() if workload else None)


NEW = None
READING = _status(None)
PLANNED = _status(plan())
STARTING = _status(plan(), _workload(0, "ReplicaSetUpdated"))
SERVING = _status(plan(), _workload(1, "NewReplicaSetAvailable"))
LOST = _status(plan(), _workload(0, "NewReplicaSetAvailable"))
STUCK = _status(plan(), _workload(0, "ProgressDeadlineExceeded"))
REFUSED_NEW = _status(REFUSED)
REFUSED_RUNNING = _status(REFUSED, _workload(1, "NewReplicaSetAvailable"))
OTHER_PLAN = _status(plan(decision="on 8 × L40S"), _workload(1, "NewReplicaSetAvailable"))
TO_ZERO = _status(plan(), WorkloadObservation(2, 2, 0))

CASES: dict[str, tuple[dict[str, Any] | None, dict[str, Any], list[str]]] = {
    "new and still reading": (NEW, READING, []),
    "new and planned": (NEW, PLANNED, ["Normal PlanFits"]),
    "read, then planned": (READING, PLANNED, ["Normal PlanFits"]),
    "new and refused": (NEW, REFUSED_NEW, ["Warning InsufficientGPUMemory"]),
    "new and starting at once": (NEW, STARTING, ["Normal PlanFits", "Normal RollingOut"]),
    "starting to serving": (STARTING, SERVING, ["Normal PodsReady", "Normal RolledOut"]),
    "nothing changed": (SERVING, SERVING, []),
    "pods lost": (SERVING, LOST, ["Warning PodsNotReady"]),
    "pods back": (LOST, SERVING, ["Normal PodsReady", "Normal Healthy"]),
    "stuck, told once": (STARTING, STUCK, ["Warning RolloutStalled"]),
    "refused while running": (SERVING, REFUSED_RUNNING, ["Warning InsufficientGPUMemory", "Warning SpecNotApplied"]),
    "mended": (REFUSED_RUNNING, SERVING, ["Normal PlanFits", "Normal Healthy"]),
    "another plan": (SERVING, OTHER_PLAN, ["Normal PlanFits"]),
    "scaled to zero": (SERVING, TO_ZERO, ["Normal ScaledToZero"]),
    "a status that is none": ({"conditions": [1, {"type": "Planned"}]}, PLANNED, ["Normal PlanFits"]),
    "nothing to say": (SERVING, {}, []),
}


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_events(old: dict[str, Any] | None, new: dict[str, Any], expected: list[str]) -> None:
    assert [f"{event.type} {event.reason}" for event in transitions(old, new)] == expected


def test_an_event_carries_the_message() -> None:
    assert transitions(NEW, REFUSED_NEW) == (EventToPost("Warning", "InsufficientGPUMemory", "too large"),)


@pytest.mark.parametrize("letter", ["x", "é", "×", "漢"])
def test_a_message_is_cut_to_what_an_event_may_hold(letter: str) -> None:
    (event,) = transitions(NEW, _status(Rejection("ApplyRefused", letter * 2000)))
    assert len(event.message.encode()) <= LONGEST_EVENT_BYTES
    assert len(event.message.encode()) > LONGEST_EVENT_BYTES - 4
    assert event.message.endswith(letter + "…")
