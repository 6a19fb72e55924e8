"""The operator against a real API server, real controllers and a real scheduler: what a user does, and what comes of it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from cluster.operator_process import OperatorProcess, Servings, object_writes, quiet, sample
from installation import Installation
from localcluster import LocalCluster, node_set, wait_for

# The garbage collector looks for new kinds every 30 s; until then it deletes nothing that a new kind leaves behind.
pytestmark = pytest.mark.timeout(300)
H100 = "NVIDIA-H100-80GB-HBM3"


@pytest.fixture(scope="module")
def installation(local_cluster: LocalCluster) -> Installation:
    return Installation.install(local_cluster)


@pytest.fixture(scope="module")
def begun() -> datetime:
    """When these tests began."""
    return now()


@pytest.fixture(scope="module")
def operator(installation: Installation, begun: datetime) -> Iterator[OperatorProcess]:
    with OperatorProcess(installation) as process:
        yield process.wait_ready()
        print(process.said(50))  # shown where the test failed


@pytest.fixture
def servings(operator: OperatorProcess, local_cluster: LocalCluster, namespace: str) -> Servings:
    assert operator.process.poll() is None
    return Servings(local_cluster, namespace)


def now() -> datetime:
    return datetime.now(UTC)


def planned(servings: Servings, name: str) -> str:
    return servings.condition(name, "Planned")[1]


def argument(deployment: dict[str, Any], flag: str) -> str:
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    return next(str(each).partition("=")[2] for each in arguments if str(each).startswith(f"{flag}="))


def test_the_sample_becomes_pods_on_the_fewest_gpus_with_the_arithmetic_in_its_status(
    servings: Servings, installation: Installation, local_cluster: LocalCluster
) -> None:
    begun = now()
    created = servings.create("llava", **sample("llava"))
    found = servings.wait_ready("llava")
    deployment, service = servings.get("llava", "deployments"), servings.get("llava", "services")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["vllm", "serve"]
    assert argument(deployment, "--tensor-parallel-size") == "4"
    assert argument(deployment, "--max-model-len") == "32768"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "4"
    nodes = {pod["spec"]["nodeName"] for pod in servings.all("pods")}
    products = [local_cluster.request("GET", f"/api/v1/nodes/{node}")["metadata"]["labels"] for node in nodes]
    assert {labels["nvidia.com/gpu.product"] for labels in products} == {H100}
    for child in (deployment, service):
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (created["metadata"]["uid"], True)
    status = found["status"]
    assert (status["ready"], status["reason"], status["readyReplicas"]) == ("1/1", "PodsReady", 1)
    assert status["endpoint"] == f"http://llava.{servings.namespace}.svc:8000/v1"
    assert status["plan"]["gpusPerReplica"] == 4
    assert status["plan"]["arguments"] == container["args"]
    assert float(status["plan"]["memory"][0]["weights"]) == pytest.approx(34.3, abs=0.1)
    assert servings.condition("llava", "Planned")[:2] == ("True", "PlanFits")
    assert servings.condition("llava", "Degraded")[:2] == ("False", "Healthy")
    wait_for(lambda: ("Normal", "PodsReady") in servings.events("llava"), 10, "the event")
    assert servings.get("llava")["metadata"].keys() & {"finalizers", "annotations"} == set()
    assert servings.get("llava")["spec"] == created["spec"]
    assert len(object_writes(installation, begun, servings.namespace)) == 3


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        pytest.param("deployments", "/spec/template/spec/containers/0/image", "elsewhere/vllm:1", id="image"),
        pytest.param("deployments", "/spec/template/spec/containers/0/env/0/value", "changed", id="variable"),
        pytest.param("deployments", "/spec/template/spec/containers/0/env/0", None, id="variable removed"),
        pytest.param("deployments", "/spec/template/spec/containers/0/args/2", "--revision=x", id="argument"),
        pytest.param("deployments", "/spec/template/spec/containers/0/name", "renamed", id="name of the container"),
        pytest.param("deployments", "/spec/replicas", 3, id="replicas"),
        pytest.param("deployments", "/metadata/labels/app.kubernetes.io~1name", "other", id="label"),
        pytest.param(
            "deployments", "/metadata/labels/app.kubernetes.io~1managed-by", "other", id="the operator's mark"
        ),
        pytest.param("deployments", "/metadata/ownerReferences", None, id="owner of the Deployment"),
        pytest.param("deployments", "/metadata/annotations/modelserving.dev~1plan", "{}", id="the plan"),
        pytest.param("services", "/spec/ports/0/port", 9000, id="port"),
        pytest.param("services", "/spec/selector/modelserving.dev~1name", "other", id="selector"),
        pytest.param("services", "/metadata/ownerReferences", None, id="owner of the Service"),
    ],
)
def test_what_is_changed_by_hand_is_put_back(servings: Servings, kind: str, path: str, value: object) -> None:
    servings.create("edited")
    servings.wait_ready("edited")
    before = owned(servings.get("edited", kind))
    operation = {"op": "remove", "path": path} if value is None else {"op": "replace", "path": path, "value": value}
    url = servings._path(kind)
    changed = servings.cluster.request("PATCH", f"{url}/edited", [operation], "application/json-patch+json")
    assert owned(changed) != before
    wait_for(lambda: owned(servings.get("edited", kind)) == before, 5, "what was there before")


def owned(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: manifest["metadata"].get(key) for key in ("labels", "annotations", "ownerReferences")}
    metadata["annotations"] = {
        key: value for key, value in metadata["annotations"].items() if key.startswith("modelserving.dev/")
    }
    return {"metadata": metadata, "spec": manifest["spec"]}


@pytest.mark.parametrize("kind", ["deployments", "services"])
def test_what_is_deleted_by_hand_comes_back_as_it_was(servings: Servings, kind: str) -> None:
    servings.create("deleted")
    servings.wait_ready("deleted")
    before = servings.get("deleted", kind)
    servings.delete("deleted", kind)
    after = wait_for(
        lambda: (
            (live := servings.get("deleted", kind)).get("metadata", {}).get("uid") != before["metadata"]["uid"] and live
        ),
        5,
        "another one",
    )
    for field in ("clusterIP", "clusterIPs"):
        before["spec"].pop(field, None), after["spec"].pop(field, None)
    assert owned(after) == owned(before)
    servings.wait_ready("deleted")


def test_deleting_the_resource_leaves_nothing_behind(servings: Servings) -> None:
    servings.create("short-lived")
    servings.wait_ready("short-lived")
    servings.delete("short-lived")
    for kind in ("modelservings", "deployments", "services"):
        servings.wait_gone("short-lived", kind)
    wait_for(lambda: not servings.all("replicasets") and not servings.all("pods"), 20, "the pods to be gone")


def test_a_resource_made_anew_under_an_old_name_gets_a_workload_of_its_own(servings: Servings) -> None:
    servings.create("again")
    servings.wait_ready("again")
    servings.delete("again")
    servings.wait_gone("again")
    created = servings.create("again", contextLength=1024)
    found = servings.wait_ready("again")
    assert argument(servings.get("again", "deployments"), "--max-model-len") == "1024"
    assert found["metadata"]["uid"] == created["metadata"]["uid"]


def test_a_change_of_the_spec_is_one_rollout(servings: Servings) -> None:
    servings.create("changed", contextLength=2048)
    servings.wait_ready("changed")
    before = servings.get("changed", "deployments")["metadata"]["generation"]
    servings.change("changed", spec={"contextLength": 4096})
    servings.wait_ready("changed")
    after = servings.get("changed", "deployments")
    assert argument(after, "--max-model-len") == "4096"
    assert after["metadata"]["generation"] == before + 1
    assert len(servings.all("replicasets")) == 2


def test_scaling_makes_no_new_plan_and_no_rollout(servings: Servings, kubectl: Callable[..., str]) -> None:
    servings.create("scaled", gpu={"products": [H100]})
    plan = servings.wait_ready("scaled")["status"]["plan"]
    kubectl("scale", "modelservings.modelserving.dev/scaled", "--replicas=3")
    wait_for(lambda: servings.get("scaled")["status"]["ready"] == "3/3", 20, "three ready pods")
    assert servings.get("scaled")["status"]["plan"] == plan
    assert len(servings.all("replicasets")) == 1
    kubectl("scale", "modelservings.modelserving.dev/scaled", "--replicas=0")
    servings.wait("scaled", "Available", "ScaledToZero")


@pytest.mark.parametrize(
    ("spec", "reason", "said"),
    [
        pytest.param({"contextLength": 10_000_000}, "", "", id="a context longer than the model's"),
        pytest.param({"model": "pvc://claim/path"}, "NotYetSupported", "spec.model", id="a field not acted on yet"),
        pytest.param(
            {"engine": {"extraArgs": ["--tensor-parallel-size=3"]}},
            "FlagOwnedByOperator",
            "spec.gpu.tensorParallelSize",
            id="a flag of the operator's",
        ),
        pytest.param({"precision": "int4"}, "VariantNeeded", "spec.variants", id="a precision that is not stored"),
        pytest.param({"model": "org/no-such-model"}, "ModelNotFound", "org/no-such-model", id="an unknown model"),
        pytest.param({"gpu": {"products": ["NVIDIA-H200"]}}, "NoGPUNodes", "NVIDIA-H200", id="GPUs nobody has"),
        pytest.param({"pod": {"tolerations": [{"effect": "x"}]}}, "InvalidSpec", "spec.pod", id="a bad toleration"),
    ],
)
def test_a_spec_that_cannot_be_served_leaves_what_runs_alone(
    servings: Servings, spec: dict[str, Any], reason: str, said: str
) -> None:
    servings.create("running")
    plan = servings.wait_ready("running")["status"]["plan"]
    before = servings.get("running", "deployments")
    servings.change("running", spec=spec)
    servings.wait("running", "Degraded", "SpecNotApplied")
    status, found, message = servings.condition("running", "Planned")
    assert status == "False"
    assert reason in ("", found)
    assert said in message
    assert servings.condition("running", "Available")[:2] == ("True", "PodsReady")
    assert servings.get("running")["status"]["plan"] == plan
    assert servings.get("running", "deployments")["metadata"]["generation"] == before["metadata"]["generation"]
    wait_for(lambda: ("Warning", found) in servings.events("running"), 10, "the event")
    servings.change("running", spec=dict.fromkeys(spec) | {"model": "Qwen/Qwen2.5-0.5B-Instruct"})
    servings.wait("running", "Planned", "PlanFits")
    servings.wait("running", "Degraded", "Healthy")
    assert servings.get("running", "deployments")["metadata"]["generation"] == before["metadata"]["generation"]


def test_a_model_vllm_does_not_know_is_sized_and_refused_with_the_one_that_runs(servings: Servings) -> None:
    servings.create("video", "lmms-lab/LLaVA-Video-72B-Qwen2")
    found = wait_for(lambda: servings.condition("video", "Planned")[0] and servings.condition("video", "Planned"), 10)
    assert found[0] == "False"
    assert "136.3 GiB" in found[2]
    assert "LlavaQwenForCausalLM" in found[2]
    assert "llava-hf/" in found[2]
    assert servings.get("video", "deployments") == {}


def test_nodes_that_come_are_planned_for_and_nodes_that_go_are_told_of(
    servings: Servings, local_cluster: LocalCluster
) -> None:
    servings.create("waits", gpu={"products": ["NVIDIA-H200"]})
    servings.wait("waits", "Planned", "NoGPUNodes")
    local_cluster.add_nodes(node_set("h200-x8"))
    try:
        servings.wait("waits", "Planned", "PlanFits", timeout=5)
        servings.wait_ready("waits")
    finally:
        for node in local_cluster.request("GET", "/api/v1/nodes")["items"]:
            if node["metadata"]["labels"].get("nvidia.com/gpu.product") == "NVIDIA-H200":
                local_cluster.kubectl("delete", "node", node["metadata"]["name"])
    servings.wait("waits", "Degraded", "NodesChanged")


def test_two_models_planned_in_the_same_second_do_not_count_on_the_same_gpus(
    servings: Servings, local_cluster: LocalCluster
) -> None:
    pods = "/api/v1/pods?fieldSelector=spec.nodeName=a100-40gb-x8-0"
    wait_for(lambda: not local_cluster.request("GET", pods)["items"], 40, "the pods of tests before to be gone")
    names = ("first", "second")
    for name in names:
        servings.create(
            name,
            "llava-hf/llava-onevision-qwen2-72b-ov-hf",
            gpu={"products": ["NVIDIA-A100-SXM4-40GB"], "tensorParallelSize": 8},
            contextLength=4096,
        )
    # Whose pod gets them is the scheduler's choice.
    wanted = ["PlanFits", "PlanWaitsForFreeGPUs"]
    wait_for(
        lambda: sorted(planned(servings, name) for name in names) == wanted, 10, "one that fits and one that waits"
    )
    fits, waits = sorted(names, key=partial(planned, servings))
    assert "0 of 8 are free" in servings.condition(waits, "Planned")[2]
    servings.wait_ready(fits)
    servings.delete(fits)
    servings.wait_ready(waits)
    assert planned(servings, waits) == "PlanFits"


@pytest.mark.parametrize("kind", ["deployments", "services"])
def test_what_others_made_under_the_name_is_neither_taken_over_nor_overwritten(servings: Servings, kind: str) -> None:
    pod = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": "x"}}, "template": pod, "replicas": 0}
    if kind == "services":
        spec = {"ports": [{"port": 80}]}
    servings.cluster.request("POST", servings._path(kind), {"metadata": {"name": "taken"}, "spec": spec})
    before = servings.get("taken", kind)
    servings.create("taken")
    message = servings.wait("taken", "Planned", "NameConflict")
    assert f"{servings.namespace}/taken" in message
    after = servings.get("taken", kind)
    assert (after["spec"], after["metadata"].get("labels")) == (before["spec"], before["metadata"].get("labels"))
    assert {entry["manager"] for entry in after["metadata"]["managedFields"]}.isdisjoint({"modelserving-operator"})
    other = "services" if kind == "deployments" else "deployments"
    assert servings.get("taken", other) == {}


def test_two_resources_that_want_one_name_go_one_after_the_other(servings: Servings) -> None:
    servings.create("a-b")
    servings.wait_ready("a-b")
    before = servings.get("a-b", "deployments")
    servings.create("a.b", contextLength=1024)
    assert f"{servings.namespace}/a-b" in servings.wait("a.b", "Planned", "NameConflict")
    assert servings.get("a-b", "deployments")["metadata"]["generation"] == before["metadata"]["generation"]
    servings.delete("a-b")
    servings.wait_ready("a.b")
    assert argument(servings.get("a-b", "deployments"), "--max-model-len") == "1024"


def test_a_quota_is_told_in_the_api_servers_words(servings: Servings) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/deployments.apps": "0"}}}
    servings.cluster.request("POST", servings._path("resourcequotas"), quota)
    wait_for(lambda: servings.get("none", "resourcequotas").get("status", {}).get("hard"), 10, "the quota to count")
    servings.create("refused")
    assert "exceeded quota: none" in servings.wait("refused", "Planned", "ApplyRefused")


def test_plan_only_plans_and_runs_nothing(servings: Servings) -> None:
    servings.create("planned", planOnly=True)
    servings.wait("planned", "Planned", "PlanFits")
    assert servings.condition("planned", "Available")[1] == "PlanOnly"
    assert servings.get("planned")["status"]["plan"]["gpusPerReplica"] == 1
    assert servings.get("planned", "deployments") == {}
    servings.change("planned", spec={"planOnly": False})
    servings.wait_ready("planned")
    servings.change("planned", spec={"planOnly": True})
    for kind in ("deployments", "services"):
        servings.wait_gone("planned", kind)
    servings.wait("planned", "Available", "PlanOnly")


def test_a_settled_cluster_is_not_written_to(servings: Servings, installation: Installation) -> None:
    for number in range(5):
        servings.create(f"settled-{number}")
    servings.create("rejected", gpu={"products": ["NVIDIA-H200"]})
    for number in range(5):
        servings.wait_ready(f"settled-{number}")
    servings.wait("rejected", "Planned", "NoGPUNodes")
    wait_for(lambda: ("Normal", "PodsReady") in servings.events("settled-4"), 10, "the last event")
    assert quiet(installation, 4.0, now, servings.namespace) == []


def test_the_operator_tells_of_itself(operator: OperatorProcess) -> None:
    assert operator.ask("/healthz") == "ok"
    assert operator.metric("leader") == 1
    assert operator.metric("reconciles_total") > 0
    assert operator.metric("api_writes_total") > 0


def test_the_operator_asked_for_nothing_that_its_rbac_does_not_grant(
    servings: Servings, installation: Installation, local_cluster: LocalCluster, begun: datetime
) -> None:
    """What the tests before made it do counts too."""
    servings.create("last")
    servings.wait_ready("last")
    refused = [
        event["responseStatus"].get("message", "")
        for event in local_cluster.audit_events(begun, installation.user)
        if event["responseStatus"]["code"] in (401, 403)
    ]
    assert [each for each in refused if "being terminated" not in each and "exceeded quota" not in each] == []
