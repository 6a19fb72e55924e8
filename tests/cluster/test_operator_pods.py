"""Why pods do not answer reaches the status; what is ours is put back, while the spec is bad too, and not for ever."""

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.conftest import WaitFor
from cluster.operator_process import OperatorProcess, Servings
from installation import Installation
from localcluster import LocalCluster

MERGE = "application/strategic-merge-patch+json"


@pytest.fixture(scope="module")
def installation(local_cluster: LocalCluster) -> Installation:
    return Installation.install(local_cluster)


@pytest.fixture(scope="module")
def operator(installation: Installation) -> Iterator[OperatorProcess]:
    with OperatorProcess(installation) as running:
        yield running.wait_ready()
        print(running.said(50))  # shown where the test failed


@pytest.fixture
def servings(operator: OperatorProcess, local_cluster: LocalCluster, namespace: str) -> Servings:
    assert operator.process.poll() is None
    return Servings(local_cluster, namespace)


def deployment(servings: Servings, name: str) -> dict[str, Any]:
    return servings.get(name, "deployments")


def fail(servings: Servings, name: str, container: dict[str, Any]) -> None:
    """Give pods the status that a kubelet gives them: kwok's kubelets have no containers that could fail."""
    pods = f"/api/v1/namespaces/{servings.namespace}/pods"
    for pod in servings.cluster.request("GET", f"{pods}?labelSelector=modelserving.dev/name={name}")["items"]:
        known = pod["status"]["containerStatuses"][0]
        status = {
            "containerStatuses": [{**known, "ready": False, "started": False, **container}],
            "conditions": [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "False"}],
        }
        servings.cluster.request("PATCH", f"{pods}/{pod['metadata']['name']}/status", {"status": status}, MERGE)


@pytest.mark.timeout(300)
def test_a_pod_that_the_scheduler_cannot_place_is_told_in_its_words(servings: Servings) -> None:
    servings.create("claimless", cache={"persistentVolumeClaim": {"claimName": "nowhere"}})
    said = servings.wait("claimless", "Degraded", "PodUnschedulable", timeout=90)
    assert 'persistentvolumeclaim "nowhere" not found' in said
    assert servings.get("claimless")["status"]["reason"] == "PodUnschedulable"


def test_an_engine_that_ends_is_told_with_the_line_that_says_why(servings: Servings) -> None:
    servings.create("crashing")
    servings.wait_ready("crashing")
    log = (
        "(EngineCore pid=7) ERROR 11-25 10:00:01 [core.py:1021] ValueError: No available memory for the cache blocks.\n"
        "RuntimeError: Engine core initialization failed. See root cause above."
    )
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": log}}
    fail(servings, "crashing", {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended})
    said = servings.wait("crashing", "Degraded", "EngineFailed")
    assert "ValueError: No available memory for the cache blocks." in said
    assert servings.get("crashing")["status"]["reason"] == "EngineFailed"


def test_an_image_that_cannot_be_pulled_is_told_with_what_to_check(servings: Servings) -> None:
    servings.create("imageless", engine={"image": "nowhere/vllm:none", "version": "0.32.0"})
    servings.wait_ready("imageless")
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    fail(servings, "imageless", {"state": waiting})
    assert "nowhere/vllm:none" in servings.wait("imageless", "Degraded", "ImagePullFailed")


def test_a_bad_spec_leaves_what_runs_scaled_and_as_it_was(servings: Servings, wait_for: WaitFor) -> None:
    servings.create("kept")
    servings.wait_ready("kept")
    servings.change("kept", spec={"engine": {"extraArgs": ["--tensor-parallel-size=3"]}})
    servings.wait("kept", "Planned", "FlagOwnedByOperator")
    template = deployment(servings, "kept")["spec"]["template"]
    servings.change("kept", spec={"replicas": 2})
    wait_for(lambda: deployment(servings, "kept")["spec"]["replicas"] == 2, message="two replicas")
    uid = deployment(servings, "kept")["metadata"]["uid"]
    servings.delete("kept", "deployments")
    wait_for(
        lambda: deployment(servings, "kept").get("metadata", {}).get("uid", uid) != uid, message="another Deployment"
    )
    assert deployment(servings, "kept")["spec"]["replicas"] == 2
    assert deployment(servings, "kept")["spec"]["template"] == template


def test_what_is_added_to_the_pods_by_hand_goes(servings: Servings, wait_for: WaitFor) -> None:
    servings.create("clean")
    servings.wait_ready("clean")
    before = deployment(servings, "clean")["spec"]["template"]["spec"]
    path = f"/apis/apps/v1/namespaces/{servings.namespace}/deployments/clean"
    added = {
        "initContainers": [{"name": "init", "image": "x"}],
        "containers": [
            {"name": "sidecar", "image": "x"},
            {"name": "vllm", "env": [{"name": "ADDED", "value": "1"}], "envFrom": [{"secretRef": {"name": "s"}}]},
        ],
        "volumes": [{"name": "added", "emptyDir": {}}],
    }
    servings.cluster.request("PATCH", path, {"spec": {"template": {"spec": added}}}, MERGE)
    wait_for(
        lambda: deployment(servings, "clean")["spec"]["template"]["spec"] == before, message="the pods as they were"
    )

    def operations() -> list[str]:
        entries = deployment(servings, "clean")["metadata"]["managedFields"]
        return [entry["operation"] for entry in entries if entry["manager"] == "modelserving-operator"]

    wait_for(lambda: operations() == ["Apply"], message="no field kept by update")


def test_a_writer_that_never_gives_up_is_named_and_not_fought_with_for_ever(
    servings: Servings, wait_for: WaitFor
) -> None:
    servings.create("fought")
    servings.wait_ready("fought")
    path = f"/apis/apps/v1/namespaces/{servings.namespace}/deployments/fought?fieldManager=other-controller"
    for _ in range(4):
        wait_for(lambda: deployment(servings, "fought")["spec"]["revisionHistoryLimit"] == 2, message="put back")
        servings.cluster.request("PATCH", path, {"spec": {"revisionHistoryLimit": 7}}, MERGE)
    said = servings.wait("fought", "Degraded", "Contested")
    assert "other-controller keeps changing spec.revisionHistoryLimit" in said
