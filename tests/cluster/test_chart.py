"""The chart by helm itself, and what it grants at a real API server."""

import importlib.util
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from localcluster import LocalCluster, helm
from modelserving.api.modelserving import GROUP, PLURAL
from modelserving.app.environment import read_settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "modelserving"
RELEASE = "modelserving"
NAMESPACE = "modelserving-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:modelserving-operator"

Helm = Callable[..., str]


@pytest.fixture(scope="module")
def run_helm(local_cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Run helm against the cluster, with nothing of the user's; fail with its words."""
    home = str(tmp_path_factory.mktemp("helm"))
    environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": str(local_cluster.kubeconfig)}

    def run(*args: str, fails: bool = False) -> str:
        command = [str(helm()), *args]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def template(run_helm: Helm) -> Callable[..., list[dict[str, Any]]]:
    """Render the chart with values and return its manifests."""

    def render(*options: str) -> list[dict[str, Any]]:
        text = run_helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *options)
        return [document for document in yaml.safe_load_all(text) if document]

    return render


def of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the only manifest of a kind."""
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def generator() -> ModuleType:
    """Load deploy/generate.py, which is a script and no part of a package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "deploy" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_plain_manifests_are_fresh() -> None:
    module = generator()
    path = ROOT / "deploy" / "operator.yaml"
    fresh = path.read_text(encoding="utf-8") == module.GENERATED[path]()
    assert fresh, f"deploy/operator.yaml is out of date: run `{module.COMMAND}`"


def test_lint_finds_nothing(run_helm: Helm) -> None:
    assert "0 chart(s) failed" in run_helm("lint", "--strict", str(CHART))


def test_settings_become_environment_variables(template: Callable[..., list[dict[str, Any]]]) -> None:
    manifests = template(
        *("--set", "settings.hubEndpoint=http://hub.local", "--set", "settings.allowHostPath=true"),
        *("--set", "settings.workers=4", "--set", "settings.resyncSeconds=86400", "--set", "settings.httpPort=9090"),
    )
    (container,) = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item.get("value") for item in container["env"]}
    assert environment["MODELSERVING_HUB_ENDPOINT"] == "http://hub.local"
    assert environment["MODELSERVING_ALLOW_HOST_PATH"] == "true"
    assert environment["MODELSERVING_WORKERS"] == "4"
    assert environment["MODELSERVING_RESYNC_SECONDS"] == "86400"
    assert environment["MODELSERVING_HTTP_PORT"] == "9090"
    assert container["ports"] == [{"name": "http", "containerPort": 9090}]


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("settings.hubEndpiont=x", "hubEndpiont"),
        ("settings.workers=many", "workers"),
        ("settings.namespace=x", "namespace"),
        ("settings.logFormat=xml", "logFormat"),
        ("replica=2", "replica"),
        ("rbac.create=maybe", "create"),
        ("settings.nodeShapes[0].gpus=0", "gpuProduct"),
        ("settings.gpuPrices.NVIDIA-L40S=0", "gpuPrices"),
    ],
)
def test_values_that_mean_nothing_are_refused(run_helm: Helm, option: str, complaint: str) -> None:
    assert complaint in run_helm("template", RELEASE, str(CHART), "--set", option, fails=True)


VALUES_WITH_SHAPES = """\
settings:
  nodeShapes:
    - {name: spot, gpuProduct: NVIDIA-L40S, gpus: 4, cpu: 48, memory: 180Gi, taints: [{key: spot}], maxNodes: 4}
  gpuPrices: {NVIDIA-L40S: 1.1}
"""


def test_declared_shapes_reach_the_operator_as_it_reads_them(
    template: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(VALUES_WITH_SHAPES, encoding="utf-8")
    (container,) = of_kind(template("--values", str(values)), "Deployment")["spec"]["template"]["spec"]["containers"]
    found = read_settings({item["name"]: item["value"] for item in container["env"] if "value" in item})
    assert [(shape.name, shape.cpu, shape.taints[0].key) for shape in found.node_shapes] == [("spot", "48", "spot")]
    assert found.gpu_prices == {"NVIDIA-L40S": 1.1}


def test_parts_can_be_left_out_and_added(template: Callable[..., list[dict[str, Any]]]) -> None:
    def kinds(*options: str) -> set[str]:
        return {manifest["kind"] for manifest in template(*options)}

    usual = kinds()
    assert usual == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Deployment"}
    assert kinds("--set", "rbac.create=false") == {"ServiceAccount", "Deployment"}
    assert kinds("--set", "serviceAccount.create=false") == usual - {"ServiceAccount"}
    assert kinds("--set", "metrics.service.enabled=true") == usual | {"Service"}
    assert kinds("--set", "metrics.podMonitor.enabled=true") == usual | {"PodMonitor"}
    assert kinds("--include-crds") == usual | {"CustomResourceDefinition"}


def test_an_account_of_ones_own_is_bound(template: Callable[..., list[dict[str, Any]]]) -> None:
    manifests = template("--set", "serviceAccount.create=false", "--set", "serviceAccount.name=mine")
    assert of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"
    assert of_kind(manifests, "RoleBinding")["subjects"][0]["name"] == "mine"


def test_secrets_are_read_only_where_that_is_wanted(template: Callable[..., list[dict[str, Any]]]) -> None:
    def resources(*options: str) -> set[str]:
        roles = [manifest for manifest in template(*options) if manifest["kind"] == "ClusterRole"]
        return {name for role in roles for rule in role["rules"] for name in rule["resources"]}

    assert "secrets" in resources()
    assert "secrets" not in resources("--set", "rbac.readSecrets=false")


def test_two_renderings_are_the_same_bytes(run_helm: Helm) -> None:
    arguments = ("template", RELEASE, str(CHART), "--set", "metrics.service.enabled=true")
    assert run_helm(*arguments) == run_helm(*arguments)


@pytest.fixture(scope="module")
def installed(local_cluster: LocalCluster, run_helm: Helm) -> Iterator[None]:
    """The chart as a release, no pod of it running: the image exists nowhere. Also with what is optional."""
    arguments = (RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace", "--set", "replicas=0")
    run_helm("install", *arguments, "--set", "metrics.service.enabled=true")
    yield
    run_helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")


@pytest.mark.usefixtures("installed")
def test_an_upgrade_that_changes_nothing_is_accepted(run_helm: Helm) -> None:
    arguments = (RELEASE, str(CHART), "--namespace", NAMESPACE, "--reuse-values", "--dry-run=server")
    assert "kind: Deployment" in run_helm("upgrade", *arguments)


OURS = f"{GROUP}/{PLURAL}"
MAY = [
    *((verb, OURS, "default") for verb in ("get", "list", "watch")),
    ("patch", f"{OURS}/status", "default"),
    ("patch", "apps/deployments", "default"),
    ("delete", "apps/deployments", "default"),
    ("create", "/services", "default"),
    ("get", "/secrets", "default"),
    ("watch", "/nodes", ""),
    ("create", "/configmaps", NAMESPACE),
    ("update", "coordination.k8s.io/leases", NAMESPACE),
]
MAY_NOT = [
    *((verb, OURS, "default") for verb in ("create", "patch", "update", "delete")),
    *((verb, "/pods", "default") for verb in ("create", "patch", "delete")),
    *((verb, "/secrets", "default") for verb in ("list", "watch", "create", "patch")),
    ("create", "/pods/exec", "default"),
    ("get", "/pods/log", "default"),
    ("get", "/pods/proxy", "default"),
    ("patch", "/nodes", ""),
    ("create", "/configmaps", "default"),
    ("get", "/configmaps", "default"),
    ("update", "coordination.k8s.io/leases", "kube-system"),
    ("list", "apiextensions.k8s.io/customresourcedefinitions", ""),
    ("list", "/namespaces", ""),
    ("create", "rbac.authorization.k8s.io/clusterroles", ""),
]


def may(cluster: LocalCluster, user: str, verb: str, resource: str, namespace: str) -> bool:
    """Ask the API server whether a user may; `resource` is group/resource or group/resource/subresource."""
    group, name, *below = resource.split("/")
    attributes = {"verb": verb, "group": group, "resource": name, "namespace": namespace, "subresource": "".join(below)}
    review = {"spec": {"user": user, "resourceAttributes": attributes}}
    answer = cluster.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("permission", "granted"), [*((item, True) for item in MAY), *((item, False) for item in MAY_NOT)], ids=str
)
def test_the_account_may_do_its_work_and_no_more(
    local_cluster: LocalCluster, permission: tuple[str, str, str], granted: bool
) -> None:
    assert may(local_cluster, ACCOUNT, *permission) is granted


@pytest.mark.usefixtures("installed")
def test_people_who_may_edit_a_namespace_may_edit_its_models(
    local_cluster: LocalCluster, namespace: str, wait_for: Callable[..., Any]
) -> None:
    for person, role in (("editor", "edit"), ("viewer", "view")):
        binding = ("rolebinding", person, f"--clusterrole={role}", f"--user={person}")
        local_cluster.kubectl("create", *binding, "--namespace", namespace)
    wait_for(
        lambda: (
            may(local_cluster, "editor", "create", OURS, namespace)
            and may(local_cluster, "viewer", "get", OURS, namespace)
        ),
        message="the roles are not aggregated",
    )
    assert not may(local_cluster, "viewer", "create", OURS, namespace)


def test_plain_manifests_are_accepted_at_once_by_an_empty_cluster(local_cluster: LocalCluster) -> None:
    """Into a namespace that is not there yet nothing can be tried without writing: the namespace comes first, as it does."""
    documents = [
        document
        for document in yaml.safe_load_all((ROOT / "deploy" / "operator.yaml").read_text(encoding="utf-8"))
        if document
    ]
    assert documents[0]["kind"] == "Namespace"
    account = of_kind(documents, "ServiceAccount")
    assert account["metadata"]["namespace"] == documents[0]["metadata"]["name"] == NAMESPACE
    cluster_wide = [document for document in documents if "namespace" not in document["metadata"]]
    answer = local_cluster.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"),
        input=yaml.safe_dump_all(cluster_wide),
    )
    assert answer.count("serverside-applied (server dry run)") == len(cluster_wide)
