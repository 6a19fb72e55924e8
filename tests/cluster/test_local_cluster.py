"""The control plane itself: real scheduling, real RBAC, a truthful audit log, a clean end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import SECOND_H100_NODE, WaitFor
from localcluster import ApiError, LocalCluster, LocalClusterError, many_nodes, node_set, node_set_names
from localcluster.controlplane import run_directory

Kubectl = Callable[..., str]

START_SECONDS = 60.0

GPU_LABELS = {
    f"nvidia.com/{name}"
    for name in (
        *(
            "gpu.product",
            "gpu.memory",
            "gpu.count",
            "gpu.family",
            "gpu.machine",
            "gpu.replicas",
            "gpu.mode",
            "gpu.present",
        ),
        *("gpu.compute.major", "gpu.compute.minor", "mig.capable", "mig.strategy", "gfd.timestamp"),
        *("cuda.driver.major", "cuda.driver.minor", "cuda.driver.rev", "cuda.runtime.major", "cuda.runtime.minor"),
        *(f"cuda.driver-version.{part}" for part in ("major", "minor", "revision", "full")),
        *(f"cuda.runtime-version.{part}" for part in ("major", "minor", "full")),
    )
}


def deployment(name: str, gpus: int = 0, replicas: int = 1, **annotations: str) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    simulated = {f"sim.modelserving.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    container = {"name": "engine", "image": "registry.invalid/engine", "resources": {"limits": limits}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": simulated},
                "spec": {"containers": [container]},
            },
        },
    }


class Api:
    """Requests to one namespace, as the administrator."""

    def __init__(self, cluster: LocalCluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def create(self, manifest: dict[str, Any]) -> None:
        self._cluster.request("POST", f"/apis/apps/v1/namespaces/{self._namespace}/deployments", manifest)

    def pods(self, app: str) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{self._namespace}/pods?labelSelector=app%3D{app}"
        return list(self._cluster.request("GET", path)["items"])

    def ready_pods(self, app: str) -> list[dict[str, Any]]:
        return [pod for pod in self.pods(app) if condition(pod, "Ready") == "True"]


@pytest.fixture
def api(local_cluster: LocalCluster, namespace: str) -> Api:
    return Api(local_cluster, namespace)


def condition(thing: dict[str, Any], kind: str) -> str:
    found = [each["status"] for each in thing["status"].get("conditions", []) if each["type"] == kind]
    return found[0] if found else ""


def runs(pid: int) -> bool:
    """Whether a process exists and is more than a dead one that nobody has asked about yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("name", node_set_names())
def test_a_node_set_has_the_labels_of_gpu_feature_discovery_and_they_agree_with_what_it_offers(name: str) -> None:
    for node in yaml.safe_load_all(node_set(name).read_text()):
        labels, capacity = node["metadata"]["labels"], node["status"]["capacity"]
        assert labels["kubernetes.io/hostname"] == node["metadata"]["name"]
        assert node["status"]["allocatable"].keys() == capacity.keys()
        assert "taints" not in node["spec"]
        if "nvidia.com/gpu" in capacity:
            assert labels.keys() >= GPU_LABELS
            # With MIG's mixed strategy discovery counts all GPUs, of which those that are cut up are not offered whole.
            is_cut_up = any(resource.startswith("nvidia.com/mig-") for resource in capacity)
            assert is_cut_up or labels["nvidia.com/gpu.count"] == capacity["nvidia.com/gpu"]
            assert all(isinstance(value, str) for value in labels.values())
        else:
            assert not [label for label in labels if label.startswith("nvidia.com/")]


def test_the_mixed_set_holds_the_same_nodes_as_the_files_of_one_node() -> None:
    mixed = list(yaml.safe_load_all(node_set("mixed").read_text()))
    assert len(mixed) > 4
    for node in mixed:
        name = str(node["metadata"]["name"]).removesuffix("-0")
        assert node == yaml.safe_load(node_set(name).read_text())


def test_one_node_is_multiplied_under_names_of_its_own() -> None:
    nodes = list(yaml.safe_load_all(many_nodes(node_set("h100-80gb-x8"), 130)))
    names = [node["metadata"]["name"] for node in nodes]
    assert len(set(names)) == 130
    assert [node["metadata"]["labels"]["kubernetes.io/hostname"] for node in nodes] == names
    assert {node["status"]["allocatable"]["nvidia.com/gpu"] for node in nodes} == {"8"}


def test_several_nodes_are_not_multiplied() -> None:
    with pytest.raises(LocalClusterError, match="exactly one node"):
        many_nodes(node_set("mixed"), 2)


def test_nodes_are_ready_and_keep_what_they_offer(local_cluster: LocalCluster) -> None:
    nodes = {node["metadata"]["name"]: node for node in local_cluster.request("GET", "/api/v1/nodes")["items"]}
    assert {condition(node, "Ready") for node in nodes.values()} == {"True"}
    gpus = {name: node["status"]["allocatable"].get("nvidia.com/gpu") for name, node in nodes.items()}
    assert gpus["h100-80gb-x8-0"] == gpus[f"{SECOND_H100_NODE}-000"] == "8"
    assert gpus["cpu-only-0"] is None


def test_pods_go_where_their_gpus_are_and_become_ready(api: Api, wait_for: WaitFor) -> None:
    manifest = deployment("model", gpus=8, replicas=2)
    manifest["spec"]["template"]["spec"]["nodeSelector"] = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    api.create(manifest)
    ready = wait_for(lambda: found if len(found := api.ready_pods("model")) == 2 else [], message="two ready pods")
    assert {pod["spec"]["nodeName"] for pod in ready} == {"h100-80gb-x8-0", f"{SECOND_H100_NODE}-000"}


def test_a_pod_that_wants_more_gpus_than_any_node_has_stays_pending(api: Api, wait_for: WaitFor) -> None:
    api.create(deployment("giant", gpus=9))
    pod = wait_for(lambda: [pod for pod in api.pods("giant") if condition(pod, "PodScheduled") == "False"])[0]
    assert "Insufficient nvidia.com/gpu" in str(pod["status"]["conditions"])


def test_a_container_that_runs_out_of_memory_is_restarted_and_may_recover(api: Api, wait_for: WaitFor) -> None:
    api.create(deployment("oom", outcome="oom", load_time="100ms", backoff="100ms", recover_after="2"))
    pod = wait_for(lambda: api.ready_pods("oom"), message="recovery after two restarts")[0]
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] == 2
    assert status["lastState"]["terminated"]["reason"] == "OOMKilled"


def test_a_container_that_crashes_is_in_crash_loop_back_off(api: Api, wait_for: WaitFor) -> None:
    api.create(deployment("crash", outcome="crash", load_time="100ms", backoff="60s"))

    def waiting() -> str:
        states = [status["state"] for pod in api.pods("crash") for status in pod["status"].get("containerStatuses", [])]
        return str(states[0].get("waiting", {}).get("reason", "")) if states else ""

    assert wait_for(waiting) == "CrashLoopBackOff"


def test_a_container_that_hangs_runs_and_is_never_ready(api: Api, wait_for: WaitFor) -> None:
    api.create(deployment("hang", outcome="hang"))
    api.create(deployment("other"))
    pod = wait_for(lambda: [pod for pod in api.pods("hang") if pod["status"]["phase"] == "Running"])[0]
    wait_for(lambda: api.ready_pods("other"), message="a pod made later that is ready")
    assert condition(pod, "Ready") == "False"
    assert api.ready_pods("hang") == []


def test_logs_of_a_pod_say_that_it_pretends(api: Api, kubectl: Kubectl, wait_for: WaitFor) -> None:
    api.create(deployment("quiet"))
    wait_for(lambda: api.ready_pods("quiet"))
    assert "only pretends to run" in kubectl("logs", "deployment/quiet")


def test_a_service_account_may_do_nothing_until_a_role_says_so(local_cluster: LocalCluster, namespace: str) -> None:
    local_cluster.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    kubeconfig = str(local_cluster.service_account_kubeconfig(namespace, "nobody"))
    refused = local_cluster.kubectl("--kubeconfig", kubeconfig, "get", "pods", check=False)
    assert f'User "system:serviceaccount:{namespace}:nobody" cannot list resource "pods"' in refused
    local_cluster.kubectl(
        "create", "rolebinding", "v", "--clusterrole=view", f"--serviceaccount={namespace}:nobody", "-n", namespace
    )
    assert "No resources found" in local_cluster.kubectl("--kubeconfig", kubeconfig, "get", "pods", check=False)


def test_a_refused_request_raises_with_what_the_api_server_said(local_cluster: LocalCluster, namespace: str) -> None:
    with pytest.raises(ApiError, match="not found") as refusal:
        local_cluster.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/none")
    assert refusal.value.status == 404


def test_the_audit_log_holds_each_write_once_and_what_service_accounts_read(
    local_cluster: LocalCluster, namespace: str
) -> None:
    user = f"system:serviceaccount:{namespace}:writer"
    local_cluster.kubectl("create", "serviceaccount", "writer", "-n", namespace)
    local_cluster.kubectl(
        "create", "rolebinding", "w", "--clusterrole=edit", f"--serviceaccount={namespace}:writer", "-n", namespace
    )
    kubeconfig = str(local_cluster.service_account_kubeconfig(namespace, "writer"))
    local_cluster.kubectl("--kubeconfig", kubeconfig, "create", "configmap", "before")
    start = datetime.now(UTC)
    local_cluster.kubectl("--kubeconfig", kubeconfig, "create", "configmap", "one")
    local_cluster.kubectl("--kubeconfig", kubeconfig, "delete", "configmap", "one", "--wait=false")
    local_cluster.kubectl("--kubeconfig", kubeconfig, "get", "configmap", "before")
    events = local_cluster.audit_events(since=start, user=user)
    seen = [(event["verb"], event["objectRef"]["name"]) for event in events if "objectRef" in event]
    assert seen == [("create", "one"), ("delete", "one"), ("get", "before")]
    writes = local_cluster.audit_events(since=start, user=user, writes_only=True)
    assert [event["verb"] for event in writes] == ["create", "delete"]
    assert writes[0]["objectRef"]["namespace"] == namespace


def test_heartbeats_of_pretend_nodes_are_not_in_the_audit_log(local_cluster: LocalCluster) -> None:
    leases = local_cluster.request("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")["items"]
    assert leases
    assert [
        event for event in local_cluster.audit_events(user="kwok") if event["objectRef"]["resource"] == "leases"
    ] == []


def test_a_second_cluster_runs_beside_and_leaves_nothing(
    local_cluster: LocalCluster, namespace: str, wait_for: WaitFor
) -> None:
    with LocalCluster.start(nodes=[node_set("t4-x1")], audit=False) as other:
        pids = other.pids()
        assert len(pids) == 5
        assert other.kubectl("get", "nodes", "-o", "name").split() == ["node/t4-x1-0"]
        assert namespace not in other.kubectl("get", "namespaces", "-o", "name")
        assert other.rss()["etcd"].anonymous > 0
        other.restart_apiserver()
        other.apply(deployment("x") | {"metadata": {"name": "x", "namespace": "default"}})
        wait_for(lambda: Api(other, "default").ready_pods("x"), message="a ready pod after the API server's restart")
    assert [name for name, pid in pids.items() if runs(pid)] == []
    assert not other.directory.exists()
    assert local_cluster.kubectl("get", "namespace", namespace, "-o", "name")


@pytest.mark.parametrize("victim", ["parent", "keeper"])
def test_whoever_is_killed_no_program_is_left(victim: str, wait_for: WaitFor) -> None:
    script = (
        "import signal\nfrom localcluster import LocalCluster\ncluster = LocalCluster.start(kwok=False)\n"
        "print(cluster.directory, cluster._supervisor.pid, *cluster.pids().values(), flush=True)\nsignal.pause()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        directory, keeper, *programs = parent.stdout.readline().split()
        assert all(runs(int(pid)) for pid in programs)
        os.kill(parent.pid if victim == "parent" else int(keeper), signal.SIGKILL)
        wait_for(lambda: not any(runs(int(pid)) for pid in programs), message="the end of every program")
        if victim == "parent":
            wait_for(lambda: not Path(directory).exists(), message="the end of its folder")
        parent.kill()
    subprocess.run(["rm", "-rf", directory], check=True)


def test_a_program_that_ends_by_itself_is_named_with_its_log() -> None:
    with pytest.raises(LocalClusterError, match=r"kube-apiserver ended with status 1") as failure:
        LocalCluster.start(apiserver_args=["--no-such-flag"])
    assert "unknown flag: --no-such-flag" in str(failure.value)
    kept = Path(failure.value.__notes__[-1].rpartition(" ")[2])
    assert (kept / "kube-apiserver.log").exists()
    subprocess.run(["rm", "-rf", kept], check=True)


def test_the_command_line_starts_a_cluster_that_stays_and_stops_it() -> None:
    name = f"test-{os.getpid()}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def localcluster(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "localcluster", *args]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, timeout=START_SECONDS
        )

    try:
        up = localcluster("up", "--name", name, "t4-x1")
        assert (up.returncode, up.stderr) == (0, "")
        assert up.stdout == f"export KUBECONFIG={run_directory(name)}/kubeconfig\n"
        assert localcluster("env", "--name", name).stdout == up.stdout
        assert "kube-scheduler" in localcluster("rss", "--name", name).stdout
        again = localcluster("up", "--name", name)
        assert again.returncode == 1
        assert "runs already" in again.stderr
    finally:
        down = localcluster("down", "--name", name)
    assert (down.returncode, down.stderr) == (0, "")
    assert not run_directory(name).exists()
    gone = localcluster("down", "--name", name)
    assert gone.returncode == 1
    assert "start one with `up`" in gone.stderr
