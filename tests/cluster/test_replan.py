"""More models than GPUs, nodes that go, nodes that change under a plan: what waits, what moves, and what stays, under each `replan`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import WaitFor
from cluster.operator_process import OperatorProcess, Servings
from installation import Installation
from localcluster import LocalCluster, many_nodes, node_set

pytestmark = pytest.mark.timeout(300)
L40S, L40, H100 = "NVIDIA-L40S", "NVIDIA-L40", "NVIDIA-H100-80GB-HBM3"
L40S_NODE = "l40s-x4-0"
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
PATIENCE_SECONDS = 3
ADDED = ("more", "yet-more")
BARE = "bare"


@pytest.fixture(scope="module")
def small() -> Iterator[LocalCluster]:
    """A cluster of one node with four L40S and one with eight H100."""
    with LocalCluster.start([node_set("l40s-x4"), node_set("h100-80gb-x8")], name="replan") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def operator(small: LocalCluster) -> Iterator[OperatorProcess]:
    settings = {"REPLAN_AFTER_SECONDS": str(PATIENCE_SECONDS)}
    with OperatorProcess(Installation.install(small), settings=settings) as running:
        yield running.wait_ready()
        print(running.said(50))  # shown where the test failed


@pytest.fixture
def servings(operator: OperatorProcess, small: LocalCluster) -> Iterator[Servings]:
    assert operator.process.poll() is None
    found = Servings(small, "default")
    yield found
    small.kubectl("delete", "msv", "--all", "--wait=true")
    small.kubectl("delete", "deployments,resourcequotas", "--all", "--wait=true")
    small.kubectl("wait", "--for=delete", "pods", "--all", "--timeout=60s")
    small.kubectl("uncordon", L40S_NODE)
    small.kubectl("label", "--overwrite", "node", L40S_NODE, f"nvidia.com/gpu.product={L40S}")
    added = [f"{prefix}-00{number}" for prefix in ADDED for number in range(2)]
    small.kubectl("delete", "node", "--ignore-not-found", BARE, *added)


def product(servings: Servings, name: str) -> str:
    plan = servings.get(name).get("status", {}).get("plan", {})
    return str(plan.get("gpuProduct", ""))


def nodes_of_pods(servings: Servings, name: str = "") -> list[str]:
    """Nodes that living pods are bound to; empty texts for those that are bound to none."""
    selected = f"?labelSelector=modelserving.dev/name={name}" if name else ""
    pods = servings.cluster.request("GET", f"/api/v1/namespaces/{servings.namespace}/pods{selected}")["items"]
    return sorted(pod["spec"].get("nodeName", "") for pod in pods if "deletionTimestamp" not in pod["metadata"])


def start(servings: Servings, name: str, policy: str) -> None:
    servings.create(name, LLAMA, contextLength=8192, replan=policy)
    servings.wait_ready(name)
    assert product(servings, name) == L40S
    assert nodes_of_pods(servings, name) == [L40S_NODE]


def drain(servings: Servings) -> None:
    options = ("--ignore-daemonsets", "--delete-emptydir-data", "--disable-eviction", "--timeout=60s")
    servings.cluster.kubectl("drain", L40S_NODE, *options)


def template(servings: Servings, name: str) -> dict[str, Any]:
    found: dict[str, Any] = servings.get(name, "deployments")["spec"]["template"]
    return found


def test_never_keeps_its_plan_when_its_node_is_drained_and_says_what_would_help(
    servings: Servings, wait_for: WaitFor
) -> None:
    start(servings, "never", "Never")
    before = template(servings, "never")
    drain(servings)
    said = servings.wait("never", "Degraded", "PodUnschedulable", timeout=90)
    assert "spec.replan: WhenUnschedulable would look for another plan." in said
    assert template(servings, "never") == before
    servings.cluster.kubectl("uncordon", L40S_NODE)
    servings.wait_ready("never")
    wait_for(lambda: nodes_of_pods(servings, "never") == [L40S_NODE], message="the pod on its old node")


@pytest.mark.parametrize("policy", ["WhenUnschedulable", "Always"])
def test_a_model_whose_node_is_drained_moves_where_it_may(servings: Servings, wait_for: WaitFor, policy: str) -> None:
    name = policy.lower()
    start(servings, name, policy)
    drain(servings)
    wait_for(lambda: product(servings, name) == H100, 60, f"a plan on {H100}")
    servings.wait_ready(name)
    wait_for(lambda: nodes_of_pods(servings, name) == ["h100-80gb-x8-0"], message="the pod on the other node")
    servings.cluster.kubectl("uncordon", L40S_NODE)
    if policy == "Always":
        # The smaller GPU is preferred, and it is there again.
        wait_for(lambda: product(servings, name) == L40S, 60, f"a plan on {L40S}")
        servings.wait_ready(name)
    else:
        generation = servings.get(name, "deployments")["metadata"]["generation"]
        servings.change(name, spec={"replicas": 2})
        wait_for(lambda: servings.get(name)["status"]["ready"] == "2/2", message="two ready pods")
        assert product(servings, name) == H100
        assert servings.get(name, "deployments")["metadata"]["generation"] == generation + 1


def test_a_product_swapped_under_a_plan_is_told_and_moves_only_what_may_move(
    servings: Servings, wait_for: WaitFor
) -> None:
    start(servings, "stays", "Never")
    start(servings, "moves", "Always")
    before = template(servings, "stays")
    servings.cluster.kubectl("label", "--overwrite", "node", L40S_NODE, f"nvidia.com/gpu.product={L40}")
    said = servings.wait("stays", "Degraded", "NodesChanged")
    assert "no node has that any more" in said
    wait_for(lambda: product(servings, "moves") == L40, 60, f"a plan on {L40}")
    servings.wait_ready("moves")
    assert template(servings, "stays") == before
    assert servings.condition("stays", "Available")[0] == "True"


def test_of_twenty_on_twelve_gpus_twelve_run_and_eight_say_what_they_wait_for(
    servings: Servings, wait_for: WaitFor
) -> None:
    cluster = servings.cluster
    cluster.add_nodes(many_nodes(node_set("l40s-x4"), 2, ADDED[0]))
    names = [f"llama-{number:02}" for number in range(20)]
    for name in names:
        servings.create(name, LLAMA, contextLength=8192, gpu={"products": [L40S]})

    def reasons() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(servings.get(name).get("status", {}).get("reason", ""), []).append(name)
        return found

    wait_for(
        lambda: {reason: len(of) for reason, of in reasons().items()} == {"PodsReady": 12, "PlanWaitsForFreeGPUs": 8},
        90,
        "twelve that run and eight that wait",
    )
    for name in reasons()["PlanWaitsForFreeGPUs"]:
        message = servings.condition(name, "Planned")[2]
        assert "Waits for free GPUs: it needs 1 × NVIDIA-L40S on one node" in message
        assert "of 12 are free" in message
    # A GPU that was promised twice would leave one of those that were told they fit without a node.
    assert nodes_of_pods(servings).count("") == 8
    cluster.add_nodes(many_nodes(node_set("l40s-x4"), 2, ADDED[1]))
    wait_for(lambda: len(reasons().get("PodsReady", [])) == 20, 90, "all twenty to run")
    assert "" not in nodes_of_pods(servings)


def test_a_node_that_vanishes_under_a_plan_just_made_loses_nothing(servings: Servings) -> None:
    cluster = servings.cluster
    servings.create("left", LLAMA, contextLength=8192, gpu={"products": [L40S]})
    cluster.kubectl("delete", "node", L40S_NODE)
    said = servings.wait("left", "Degraded", "NodesChanged", timeout=60)
    assert f"The plan is for {L40S}, and no node has that any more" in said
    assert servings.get("left", "deployments")["spec"]["replicas"] == 1
    cluster.add_nodes(node_set("l40s-x4"))
    servings.wait_ready("left")
    assert nodes_of_pods(servings, "left") == [L40S_NODE]


def test_a_quota_that_refuses_the_pods_is_told_before_and_heard_of_when_it_grows(servings: Servings) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team", "namespace": "default"},
        "spec": {"hard": {"requests.nvidia.com/gpu": "1"}},
    }
    servings.cluster.apply(quota)
    servings.create("wide", LLAMA, contextLength=8192, gpu={"tensorParallelSize": 2})
    said = servings.wait("wide", "Planned", "QuotaExceeded")
    assert "ResourceQuota team of namespace default allows 1 of requests.nvidia.com/gpu" in said
    assert servings.all("deployments") == []
    servings.cluster.apply({**quota, "spec": {"hard": {"requests.nvidia.com/gpu": "2"}}})
    servings.wait_ready("wide")


def test_a_node_that_discovery_has_not_labelled_is_known_by_its_resource_slices(servings: Servings) -> None:
    cluster = servings.cluster
    cluster.add_nodes(yaml.safe_dump(without_labels_of_discovery(node_set("l40s-x4"))))
    servings.create("by-slice", LLAMA, contextLength=8192, gpu={"products": [L40]})
    servings.wait("by-slice", "Planned", "NoGPUNodes")
    devices = [
        {
            "name": f"gpu-{number}",
            "attributes": {
                "type": {"string": "gpu"},
                "productName": {"string": "NVIDIA L40"},
                "cudaComputeCapability": {"version": "8.9.0"},
            },
            "capacity": {"memory": {"value": "46068Mi"}},
        }
        for number in range(4)
    ]
    pool = {"name": BARE, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "gpu.nvidia.com", "nodeName": BARE, "pool": pool, "devices": devices}
    cluster.request(
        "POST",
        "/apis/resource.k8s.io/v1/resourceslices",
        {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": "bare-gpu"}, "spec": spec},
    )
    servings.wait("by-slice", "Planned", "PlanFits")
    servings.wait_ready("by-slice")
    assert nodes_of_pods(servings, "by-slice") == [BARE]
    cluster.request("DELETE", "/apis/resource.k8s.io/v1/resourceslices/bare-gpu")


def without_labels_of_discovery(template: Path) -> dict[str, Any]:
    """The node of a node set under another name, as it is before GPU feature discovery has looked at it."""
    node: dict[str, Any] = yaml.safe_load(template.read_text())
    labels = {name: value for name, value in node["metadata"]["labels"].items() if not name.startswith("nvidia.com/")}
    node["metadata"] |= {"name": BARE, "labels": {**labels, "kubernetes.io/hostname": BARE}}
    return node
