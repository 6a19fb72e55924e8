"""The chart and the image, as far as they can be held against the sources without helm; with it: tests/cluster/test_chart.py.

An image cannot be built here: there is no container engine. That every path the Dockerfile copies exists is all that is tested.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelserving.api.modelserving import GROUP, PLURAL
from modelserving.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "modelserving"
MANIFESTS: list[dict[str, Any]] = [
    document
    for document in yaml.safe_load_all((ROOT / "deploy" / "operator.yaml").read_text(encoding="utf-8"))
    if document
]
NAMESPACE = "modelserving-system"

READ = {"get", "list", "watch"}
# What the operator may do, and no more: group/resource -> verbs.
EVERYWHERE = {
    f"{GROUP}/{PLURAL}": READ,
    f"{GROUP}/{PLURAL}/status": {"patch"},
    f"{GROUP}/{PLURAL}/finalizers": {"update"},
    "apps/deployments": READ | {"create", "patch", "delete"},
    "/services": READ | {"create", "patch", "delete"},
    "/nodes": {"list", "watch"},
    "/pods": {"list", "watch"},
    "/resourcequotas": {"list", "watch"},
    "resource.k8s.io/resourceslices": {"list", "watch"},
    "/events": {"create"},
    "/secrets": {"get"},
}
IN_ITS_NAMESPACE = {
    "coordination.k8s.io/leases": {"create", "get", "update"},
    "/configmaps": {"create", "delete", "get", "list", "patch"},
}


def only(kind: str, name: str = "modelserving-operator") -> dict[str, Any]:
    """Return the only manifest of that kind and name."""
    (found,) = (item for item in MANIFESTS if item["kind"] == kind and item["metadata"]["name"] == name)
    return found


def granted(role: dict[str, Any]) -> dict[str, set[str]]:
    """Return what a role grants: group/resource -> verbs."""
    return {
        f"{group}/{resource}": set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_the_operator_may_do_what_it_does_and_no_more() -> None:
    assert granted(only("ClusterRole")) == EVERYWHERE
    assert granted(only("Role")) == IN_ITS_NAMESPACE
    assert only("Role")["metadata"]["namespace"] == NAMESPACE


@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "RoleBinding"])
def test_roles_are_bound_to_the_account_the_pods_run_as(kind: str) -> None:
    pod = only("Deployment")["spec"]["template"]["spec"]
    (subject,) = only(kind)["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": pod["serviceAccountName"], "namespace": NAMESPACE}
    assert only(kind)["roleRef"]["name"] == "modelserving-operator"
    assert only("ServiceAccount", pod["serviceAccountName"])["metadata"]["namespace"] == NAMESPACE


def test_the_pod_is_restricted() -> None:
    pod = only("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    labels = only("Namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_selector_picks_the_pods() -> None:
    spec = only("Deployment")["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_every_environment_variable_of_the_operator_is_a_setting() -> None:
    (container,) = only("Deployment")["spec"]["template"]["spec"]["containers"]
    names = {item["name"].removeprefix("MODELSERVING_") for item in container["env"] if "MODELSERVING_" in item["name"]}
    assert names == {"NAMESPACE", "IDENTITY"}
    assert {name.lower() for name in names} <= Settings.model_fields.keys()


def test_the_port_of_the_pod_is_the_default_of_the_setting() -> None:
    (container,) = only("Deployment")["spec"]["template"]["spec"]["containers"]
    assert [port["containerPort"] for port in container["ports"]] == [Settings().http_port]
    probes = [container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert probes == [{"path": path, "port": "http"} for path in ("/healthz", "/healthz", "/readyz")]


def test_plain_manifests_hold_the_definition_of_the_resource() -> None:
    assert only("CustomResourceDefinition", f"{PLURAL}.{GROUP}")


def test_versions_of_chart_and_package_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_schema_knows_every_value_and_demands_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert values.keys() == schema["properties"].keys() - {"global"}
    for name, part in schema["properties"].items():
        if name != "settings" and "properties" in part:
            assert values[name].keys() == part["properties"].keys()


def test_templates_hold_nothing_that_drifts() -> None:
    """What depends on the cluster, on chance or on the clock differs at each rendering, and Argo CD never finds peace."""
    drifting = re.compile(
        r"\b(lookup|rand\w*|now|date|uuidv4|gen\w+Cert|genPrivateKey|\.Capabilities|\.Release\.Revision)\b"
    )
    templates = [path for path in (CHART / "templates").iterdir() if path.name != "NOTES.txt"]
    assert templates
    actions = {path.name: re.findall(r"{{.*?}}", path.read_text(encoding="utf-8")) for path in templates}
    assert [(name, found) for name, found in actions.items() if any(drifting.search(action) for action in found)] == []


def test_the_image_copies_files_that_exist_and_that_docker_sees() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    seen = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    assert copied
    assert {name for name in copied if (ROOT / name).exists()} == set(copied)
    assert set(copied) <= seen


def test_the_image_starts_the_operator_without_a_shell_as_nobody_in_particular() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    pod = only("Deployment")["spec"]["template"]["spec"]
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", dockerfile, re.MULTILINE)
    (command,) = re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE)
    assert json.loads(entry)[0] in scripts
    assert json.loads(command) == pod["containers"][0]["args"] == ["operator"]
    (user,) = re.findall(r"^USER (\d+):\d+$", dockerfile, re.MULTILINE)
    assert int(user) == pod["securityContext"]["runAsUser"]
