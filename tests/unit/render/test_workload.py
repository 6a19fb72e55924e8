from typing import Any

import pytest

from modelserving.render.workload import WorkloadObservation, observed

DEPLOYMENT: dict[str, Any] = {
    "metadata": {"generation": 4},
    "spec": {"replicas": 3},
    "status": {
        "observedGeneration": 4,
        "replicas": 3,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "unavailableReplicas": 1,
        "conditions": [
            {"type": "Available", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "reason": "ReplicaSetUpdated", "message": "ReplicaSet is progressing."},
        ],
    },
}


def test_a_deployment_is_read() -> None:
    assert observed(DEPLOYMENT, "0/8 nodes are available") == WorkloadObservation(
        generation=4,
        observed_generation=4,
        desired=3,
        replicas=3,
        updated=2,
        ready=2,
        available=2,
        unavailable=1,
        progressing_reason="ReplicaSetUpdated",
        progressing_message="ReplicaSet is progressing.",
        problem="0/8 nodes are available",
    )


def test_a_deployment_that_no_controller_has_seen_yet() -> None:
    assert observed({"metadata": {"generation": 1}, "spec": {}}) == WorkloadObservation(generation=1, desired=1)
    assert observed({"spec": {"replicas": 0}, "status": {"conditions": ["x"], "replicas": "y"}}).desired == 0


def _of(**changes: Any) -> WorkloadObservation:
    settled = {
        "generation": 2,
        "observed_generation": 2,
        "desired": 2,
        "replicas": 2,
        "updated": 2,
        "ready": 2,
        "available": 2,
    }
    return WorkloadObservation(**settled | changes)


ROLLED_OUT: dict[str, tuple[dict[str, Any], bool]] = {
    "all there": ({}, True),
    "complete, one pod lost since": (
        {"ready": 1, "available": 1, "progressing_reason": "NewReplicaSetAvailable"},
        True,
    ),
    "not yet complete": ({"ready": 1, "available": 1, "progressing_reason": "ReplicaSetUpdated"}, False),
    "an old pod still there": ({"replicas": 3}, False),
    "a pod of the old template": ({"updated": 1}, False),
    "the controller is behind": ({"observed_generation": 1, "progressing_reason": "NewReplicaSetAvailable"}, False),
    "just applied": ({"generation": 0, "observed_generation": 0}, False),
    "scaled to zero": ({"desired": 0, "replicas": 0, "updated": 0, "ready": 0, "available": 0}, True),
}


@pytest.mark.parametrize(("changes", "expected"), ROLLED_OUT.values(), ids=ROLLED_OUT)
def test_rolled_out(changes: dict[str, Any], expected: bool) -> None:
    assert _of(**changes).rolled_out is expected


STALLED: dict[str, tuple[dict[str, Any], bool]] = {
    "past the deadline": ({"ready": 1, "available": 1, "progressing_reason": "ProgressDeadlineExceeded"}, True),
    "past the deadline of an earlier spec": (
        {"ready": 1, "available": 1, "progressing_reason": "ProgressDeadlineExceeded", "observed_generation": 1},
        False,
    ),
    "all there after all": ({"progressing_reason": "ProgressDeadlineExceeded"}, False),
    "under way": ({"available": 1, "progressing_reason": "ReplicaSetUpdated"}, False),
}


@pytest.mark.parametrize(("changes", "expected"), STALLED.values(), ids=STALLED)
def test_stalled(changes: dict[str, Any], expected: bool) -> None:
    assert _of(**changes).stalled is expected
