"""Rollouts on a node whose GPUs are taken: a new pod must never wait for the GPUs of the old one that waits for the new."""

from collections.abc import Iterator
from typing import Any

import pytest

from installation import Installation
from localcluster import LocalCluster, node_set, wait_for

pytestmark = pytest.mark.timeout(240)
ROLLED_OUT_SECONDS = 30.0


@pytest.fixture(scope="module")
def crowded() -> Iterator[LocalCluster]:
    """A cluster whose only node has four GPUs, with the operator running."""
    with LocalCluster.start([node_set("l40s-x4")], name="rollout") as cluster:
        process = Installation.install(cluster).start()
        yield cluster
        process.stop()


class Model:
    """One ModelServing, and how far it is."""

    def __init__(self, cluster: LocalCluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def apply(self, **spec: Any) -> None:
        """Apply the resource and wait until all its pods run the plan of this spec."""
        self.write(**spec)
        wait_for(self.rolled_out, ROLLED_OUT_SECONDS, f"rollout of {spec}")

    def write(self, **spec: Any) -> None:
        """Apply the resource."""
        written = {"model": "meta-llama/Llama-3.1-8B-Instruct", "contextLength": 8192} | spec
        metadata = {"name": self.name, "namespace": "default"}
        self.cluster.apply(
            {"apiVersion": "modelserving.dev/v1alpha1", "kind": "ModelServing", "metadata": metadata, "spec": written}
        )

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.request("GET", f"/apis/{path}/{self.name}")
        return found

    def delete(self) -> None:
        """Delete the resource and wait until its pods have given their GPUs back.

        The garbage collector learns of a new CRD within half a minute; only then does it delete what such resources own.
        """
        self.cluster.kubectl("delete", "msv", self.name)
        self.cluster.kubectl("wait", "--for=delete", "pod", "-l", f"modelserving.dev/name={self.name}", "--timeout=90s")

    def rolled_out(self) -> bool:
        resource = self.get("modelserving.dev/v1alpha1/namespaces/default/modelservings")
        status = resource.get("status", {})
        if status.get("observedGeneration") != resource["metadata"]["generation"]:
            return False
        deployment = self.get("apps/v1/namespaces/default/deployments")
        wanted, seen = deployment["spec"]["replicas"], deployment.get("status", {})
        return bool(
            seen.get("observedGeneration") == deployment["metadata"]["generation"]
            and seen.get("replicas") == seen.get("updatedReplicas") == seen.get("readyReplicas") == wanted
        )

    def strategy(self) -> tuple[int, int]:
        rolling = self.get("apps/v1/namespaces/default/deployments")["spec"]["strategy"]["rollingUpdate"]
        return rolling["maxSurge"], rolling["maxUnavailable"]

    def arguments(self) -> list[str]:
        deployment = self.get("apps/v1/namespaces/default/deployments")
        found: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
        return found


def test_a_model_on_the_last_gpus_is_rolled_out_whatever_its_new_size(crowded: LocalCluster) -> None:
    model = Model(crowded, "whole")
    model.apply(gpu={"tensorParallelSize": 4})
    # One GPU would be free once the old pod is gone, and none is while it runs.
    model.apply(gpu={"tensorParallelSize": 1})
    assert "--tensor-parallel-size=1" in model.arguments()
    model.apply(gpu={"tensorParallelSize": 4})
    assert model.strategy() == (0, 1)
    model.delete()


def test_the_strategy_follows_what_is_free_at_the_rollout_not_at_the_plan(crowded: LocalCluster) -> None:
    model = Model(crowded, "half")
    model.apply(gpu={"tensorParallelSize": 2})
    assert model.strategy() == (1, 0)
    taken = {"limits": {"nvidia.com/gpu": "2"}}
    crowded.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "other", "namespace": "default"},
            "spec": {"containers": [{"name": "a", "image": "a", "resources": taken}]},
        }
    )
    crowded.kubectl("wait", "--for=condition=Ready", "pod/other", "--timeout=30s")
    # The same plan, another environment: nothing is free beside the running pod by now.
    model.apply(gpu={"tensorParallelSize": 2}, engine={"env": [{"name": "X", "value": "1"}]})
    assert model.strategy() == (0, 1)
    model.write(gpu={"tensorParallelSize": 2}, replicas=2, engine={"env": [{"name": "X", "value": "1"}]})
    path = "/apis/modelserving.dev/v1alpha1/namespaces/default/modelservings/half"
    wait_for(
        lambda: crowded.request("GET", path)["status"].get("reason") == "PlanWaitsForFreeGPUs",
        ROLLED_OUT_SECONDS,
        "word that the second replica waits",
    )
    crowded.kubectl("delete", "pod/other")
    model.delete()
