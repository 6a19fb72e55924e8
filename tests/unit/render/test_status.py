"""Conditions, plan and summary fields together, since a person reads them together."""

from typing import Any

import pytest

from modelserving.api.status import ModelServingStatus
from modelserving.planning.plan import Alternative, Plan, Rejected, Rejection
from modelserving.render.conditions import LONGEST_MESSAGE, Subject
from modelserving.render.status import MOST_REJECTED, observe, plan_status
from modelserving.render.workload import WorkloadObservation
from render_cases import COMMIT, MODEL, placement, plan

NOW = "2026-11-23T20:00:00Z"
LATER = "2026-11-23T21:00:00Z"
SUBJECT = Subject("ml", "llava", generation=3)
REFUSED = Rejection("InsufficientGPUMemory", "needs 141.1 GiB on each GPU; the largest has 79.2 GiB")
WAITING = plan(placement=placement(free_now=0, waiting="Waits for free GPUs: it needs 4 × NVIDIA-H100-80GB-HBM3."))


def _workload(**changes: Any) -> WorkloadObservation:
    settled = {
        "generation": 2,
        "observed_generation": 2,
        "desired": 1,
        "replicas": 1,
        "updated": 1,
        "ready": 1,
        "available": 1,
    }
    return WorkloadObservation(**settled | changes)


STARTING = _workload(ready=0, available=0, progressing_reason="ReplicaSetUpdated")
LOST = _workload(ready=0, available=0, progressing_reason="NewReplicaSetAvailable", problem="OOMKilled.")
STUCK = _workload(ready=0, available=0, progressing_reason="ProgressDeadlineExceeded", progressing_message="timed out")

# outcome, workload, further arguments -> reasons of the four conditions with their status, and the one that matters most
CASES: dict[str, tuple[Plan | Rejection | None, WorkloadObservation | None, dict[str, Any], list[str], str]] = {
    "new, facts being read": (
        None,
        None,
        {},
        ["Unknown ReadingModelFacts", "False NoWorkload", "False NoWorkload", "False NoWorkload"],
        "ReadingModelFacts",
    ),
    "new, refused": (
        REFUSED,
        None,
        {},
        ["False InsufficientGPUMemory", "False NoWorkload", "False NoWorkload", "False NoWorkload"],
        "InsufficientGPUMemory",
    ),
    "planned, nothing applied yet": (
        plan(),
        None,
        {},
        ["True PlanFits", "False NoWorkload", "False NoWorkload", "False NoWorkload"],
        "NoWorkload",
    ),
    "applied, nothing read back": (
        plan(),
        WorkloadObservation(desired=1),
        {},
        ["True PlanFits", "False PodsNotReady", "True RollingOut", "False Healthy"],
        "RollingOut",
    ),
    "starting": (
        plan(),
        STARTING,
        {},
        ["True PlanFits", "False PodsNotReady", "True RollingOut", "False Healthy"],
        "RollingOut",
    ),
    "waiting for GPUs": (
        WAITING,
        STARTING,
        {},
        ["True PlanWaitsForFreeGPUs", "False PodsNotReady", "True RollingOut", "False Healthy"],
        "PlanWaitsForFreeGPUs",
    ),
    "waited and got them": (
        WAITING,
        _workload(),
        {},
        ["True PlanFits", "True PodsReady", "False RolledOut", "False Healthy"],
        "PodsReady",
    ),
    "serving": (
        plan(),
        _workload(),
        {},
        ["True PlanFits", "True PodsReady", "False RolledOut", "False Healthy"],
        "PodsReady",
    ),
    "serving, another replica on its way": (
        plan(),
        _workload(desired=2, replicas=2, updated=2, progressing_reason="ReplicaSetUpdated"),
        {},
        ["True PlanFits", "True PodsReady", "True RollingOut", "False Healthy"],
        "RollingOut",
    ),
    "one of two lost": (
        plan(),
        _workload(desired=2, replicas=2, updated=2, progressing_reason="NewReplicaSetAvailable"),
        {},
        ["True PlanFits", "True PodsReady", "False RolledOut", "True PodsNotReady"],
        "PodsNotReady",
    ),
    "all lost": (
        plan(),
        LOST,
        {},
        ["True PlanFits", "False PodsNotReady", "False RolledOut", "True PodsNotReady"],
        "PodsNotReady",
    ),
    "stuck": (
        plan(),
        STUCK,
        {},
        ["True PlanFits", "False PodsNotReady", "False RolloutStalled", "True RolloutStalled"],
        "RolloutStalled",
    ),
    "refused while the old one serves": (
        REFUSED,
        _workload(),
        {"in_force": plan()},
        ["False InsufficientGPUMemory", "True PodsReady", "False RolledOut", "True SpecNotApplied"],
        "InsufficientGPUMemory",
    ),
    "facts of a new spec read while the old one serves": (
        None,
        _workload(),
        {"in_force": plan(), "reading": "Reading the facts of owner/other."},
        ["Unknown ReadingModelFacts", "True PodsReady", "False RolledOut", "False Healthy"],
        "ReadingModelFacts",
    ),
    "nodes changed under it": (
        plan(),
        _workload(),
        {"cluster_problem": "No node has NVIDIA-H100-80GB-HBM3 any more."},
        ["True PlanFits", "True PodsReady", "False RolledOut", "True NodesChanged"],
        "NodesChanged",
    ),
    "scaled to zero": (
        plan(),
        _workload(desired=0, replicas=0, updated=0, ready=0, available=0),
        {},
        ["True PlanFits", "False ScaledToZero", "False RolledOut", "False Healthy"],
        "ScaledToZero",
    ),
}


def _short(status: dict[str, Any]) -> list[str]:
    return [f"{condition['status']} {condition['reason']}" for condition in status["conditions"]]


@pytest.mark.parametrize(("outcome", "workload", "more", "expected", "reason"), CASES.values(), ids=CASES)
def test_conditions(
    outcome: Plan | Rejection | None,
    workload: WorkloadObservation | None,
    more: dict[str, Any],
    expected: list[str],
    reason: str,
) -> None:
    status = observe(SUBJECT, None, outcome, workload, now=NOW, arguments=("x",), **more)
    assert [condition["type"] for condition in status["conditions"]] == [
        "Planned",
        "Available",
        "Progressing",
        "Degraded",
    ]
    assert _short(status) == expected
    assert status["reason"] == reason
    ModelServingStatus.model_validate(status)
    assert observe(SUBJECT, status, outcome, workload, now=LATER, **more) == status


def test_a_plan_that_only_is_shown() -> None:
    subject = Subject("ml", "llava", 3, plan_only=True)
    status = observe(subject, None, WAITING, None, now=NOW)
    assert _short(status)[1:] == ["False PlanOnly", "False PlanOnly", "False NoWorkload"]
    assert status["reason"] == "PlanOnly"
    assert "endpoint" not in status
    assert "ready" not in status
    assert status["plan"]["precision"] == "bf16"


def test_what_serves_is_summed_up() -> None:
    subject = Subject("ml", "qwen2.72b", 3, replicas=2)
    status = observe(subject, None, plan(), _workload(desired=2, replicas=3), now=NOW)
    assert status["endpoint"] == "http://qwen2-72b.ml.svc:8000/v1"
    assert status["selector"] == "app.kubernetes.io/component=engine,modelserving.dev/name=qwen2.72b"
    assert (status["replicas"], status["readyReplicas"], status["ready"]) == (3, 1, "1/2")
    assert status["observedGeneration"] == 3
    assert {condition["observedGeneration"] for condition in status["conditions"]} == {3}


def test_before_anything_runs_the_wanted_replicas_are_counted() -> None:
    status = observe(Subject("ml", "llava", 1, replicas=2), None, REFUSED, None, now=NOW)
    assert (status["ready"], status["replicas"], status["readyReplicas"]) == ("0/2", 0, 0)
    assert "endpoint" not in status
    assert "plan" not in status


def test_a_transition_has_a_time_and_what_stays_keeps_its_own() -> None:
    first = observe(SUBJECT, None, plan(), STARTING, now=NOW)
    second = observe(SUBJECT, first, plan(), _workload(), now=LATER)
    times = {condition["type"]: condition["lastTransitionTime"] for condition in second["conditions"]}
    assert times == {"Planned": NOW, "Available": LATER, "Progressing": LATER, "Degraded": NOW}


@pytest.mark.parametrize("previous", [{}, {"conditions": None}, {"conditions": [3, {"type": "Planned"}]}, {"plan": []}])
def test_a_previous_status_that_is_none_of_ours_is_replaced(previous: dict[str, Any]) -> None:
    status = observe(SUBJECT, previous, plan(), _workload(), now=NOW)
    assert {condition["lastTransitionTime"] for condition in status["conditions"]} == {NOW}


def test_messages_say_what_is_wrong_with_the_pods() -> None:
    messages = [c["message"] for c in observe(SUBJECT, None, plan(), LOST, now=NOW)["conditions"]]
    assert messages[1] == "No pod answers yet: OOMKilled."
    assert messages[3] == "Only 0 of 1 pods answer: OOMKilled."
    stuck = [c["message"] for c in observe(SUBJECT, None, plan(), STUCK, now=NOW)["conditions"]]
    assert stuck[2].endswith("nothing moves any more: timed out")
    waiting = observe(SUBJECT, None, WAITING, STARTING, now=NOW)["conditions"][0]["message"]
    assert waiting.endswith(
        "bf16 (as stored) on 4 × NVIDIA-H100-80GB-HBM3. Waits for free GPUs: it needs 4 × NVIDIA-H100-80GB-HBM3."
    )
    kept = observe(SUBJECT, None, REFUSED, _workload(), now=NOW)["conditions"][3]["message"]
    assert kept == "The spec as it is now was not applied (InsufficientGPUMemory); the previous plan keeps serving."


def test_a_message_is_never_longer_than_a_condition_may_have() -> None:
    status = observe(SUBJECT, None, Rejection("ApplyRefused", "x" * 100_000), None, now=NOW)
    message = status["conditions"][0]["message"]
    assert len(message) == LONGEST_MESSAGE
    assert message.endswith("…")


def test_the_plan_is_shown_with_its_arithmetic() -> None:
    shown = observe(SUBJECT, None, plan(), None, now=NOW, arguments=("model", "--seed=1"))["plan"]
    assert shown["model"] == MODEL
    assert shown["modelRevision"] == COMMIT
    assert shown["arguments"] == ["model", "--seed=1"]
    assert shown["gpusPerReplica"] == 4
    assert shown["maxConcurrency"] == "14.2"
    assert "quantization" not in shown
    # In MiB: 35006 + 10241 + 2355 + 922 + 300 = 48824; 75043 of budget; 36460 - 10241 = 26219 to spare.
    assert shown["memory"] == [
        {
            "pipelineRank": 0,
            "weights": "34.19",
            "kvCache": "10.00",
            "activationPeak": "2.30",
            "cudaGraphs": "0.90",
            "nonTorch": "0.29",
            "total": "47.68",
            "available": "73.28",
            "spare": "25.60",
        }
    ]


def test_the_arguments_in_force_stay_while_a_new_spec_is_refused() -> None:
    before = observe(SUBJECT, None, plan(), _workload(), now=NOW, arguments=("model", "--seed=1"))
    after = observe(SUBJECT, before, REFUSED, _workload(), now=LATER, in_force=plan())
    assert after["plan"] == before["plan"]


def test_explanations_are_kept_short() -> None:
    long = plan(
        decision="d" * 5000,
        rejected=tuple(Rejected(str(n), "R", "m" * 5000) for n in range(100)),
        alternatives=tuple(Alternative(str(n), "m" * 5000) for n in range(100)),
        notes=tuple("n" * 5000 for _ in range(100)),
    )
    shown = plan_status(long, ())
    assert len(shown.rejected) == MOST_REJECTED
    assert len(shown.model_dump_json()) < 64 * 1024
