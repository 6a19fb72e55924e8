"""The definition of the resource at a real API server: what it refuses and how, what it shows, what it counts."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from api_cases import ACCEPTED, REFUSED, Refused, manifest
from localcluster import LocalCluster
from localcluster.client import ApiError
from modelserving.api.crd import generate_crd
from modelserving.api.modelserving import API_VERSION, GROUP, PLURAL, ModelServing
from modelserving.api.problems import parse_serving

ROOT = Path(__file__).parents[2]
CRD = ROOT / "crds" / f"{PLURAL}.{GROUP}.yaml"
SAMPLES = sorted((ROOT / "deploy" / "samples").glob("*.yaml"))
COLLECTION = f"/apis/{API_VERSION}/namespaces/default/{PLURAL}"

Kubectl = Callable[..., str]
Submit = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module")
def cluster(local_cluster: LocalCluster) -> Iterator[LocalCluster]:
    """The cluster with our definition, established."""
    local_cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))
    local_cluster.kubectl("wait", "--for=condition=Established", f"crd/{PLURAL}.{GROUP}", "--timeout=20s")
    yield local_cluster
    local_cluster.kubectl("delete", f"{PLURAL}.{GROUP}", "--all", "--all-namespaces")


@pytest.fixture(scope="module")
def submit(cluster: LocalCluster) -> Submit:
    """Create a ModelServing as `kubectl apply --dry-run=server` does, strictly, and return it as it would be stored."""

    def post(resource: dict[str, Any]) -> dict[str, Any]:
        path = f"{COLLECTION}?dryRun=All&fieldValidation=Strict"
        stored: dict[str, Any] = cluster.request("POST", path, resource)
        return stored

    return post


def test_the_definition_is_accepted_as_it_is(cluster: LocalCluster) -> None:
    """Structural, rules within their cost, names free: otherwise the API server says what is wrong in a condition."""
    stored = cluster.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}")
    conditions = {condition["type"]: condition["status"] for condition in stored["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in conditions
    assert stored["spec"]["versions"][0]["schema"] == generate_crd()["spec"]["versions"][0]["schema"]


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refuses_with_the_field_and_what_to_do(submit: Submit, case: Refused) -> None:
    with pytest.raises(ApiError) as refusal:
        submit(manifest(case.spec))
    assert refusal.value.status in {400, 422}
    assert case.field in str(refusal.value)
    assert case.words in str(refusal.value)


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
def test_accepts_and_what_is_stored_is_read_again(submit: Submit, spec: dict[str, Any]) -> None:
    stored = submit(manifest(spec))
    offline, online = parse_serving(manifest(spec)), parse_serving(stored)
    assert isinstance(offline, ModelServing), offline
    assert isinstance(online, ModelServing), online
    assert online.spec == offline.spec


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_accepts_the_samples(submit: Submit, path: Path) -> None:
    assert submit(yaml.safe_load(path.read_text(encoding="utf-8")))["kind"] == "ModelServing"


WORDS = st.sampled_from(
    ["a/b", "a b", "/a", "a--b", "..", "", "auto", "fp8", "int4", "1Gi", "-1", "a" * 300, "pvc://a/b", "ä/b"]
)
SCALARS = WORDS | st.integers(-2, 20) | st.sampled_from([10**7, 10**12, 0.5, 1.5, True, None])
PARTS = {
    "model": WORDS,
    "revision": SCALARS,
    "precision": WORDS,
    "variants": st.lists(st.fixed_dictionaries({"precision": WORDS, "model": WORDS}), max_size=3),
    "contextLength": SCALARS,
    "concurrency": SCALARS,
    "kvCachePrecision": WORDS,
    "fallbacks": st.lists(WORDS, max_size=3),
    "replicas": SCALARS,
    "gpu": st.fixed_dictionaries(
        {},
        optional={
            "products": st.lists(WORDS, max_size=3),
            "tensorParallelSize": SCALARS,
            "pipelineParallelSize": SCALARS,
            "maxPerReplica": SCALARS,
            "memoryUtilization": SCALARS,
        },
    ),
    "offload": st.fixed_dictionaries({}, optional={"cpuPerGPU": SCALARS}),
    "cache": st.fixed_dictionaries(
        {}, optional={"emptyDir": st.just({}), "hostPath": st.fixed_dictionaries({"path": WORDS})}
    ),
    "pod": st.fixed_dictionaries(
        {}, optional={"labels": st.dictionaries(WORDS, WORDS, max_size=2), "priorityClassName": WORDS}
    ),
    "planOnly": SCALARS,
}


ONE_PART = st.sampled_from(sorted(PARTS)).flatmap(lambda name: st.fixed_dictionaries({name: PARTS[name]}))


@settings(max_examples=400)
@given(spec=ONE_PART | st.fixed_dictionaries({}, optional=PARTS))
def test_the_api_server_and_the_command_line_agree(submit: Submit, spec: dict[str, Any]) -> None:
    offline = parse_serving(manifest(spec))
    try:
        stored = submit(manifest(spec))
    except ApiError as answer:
        refusal = str(answer)
    else:
        refusal = ""
        assert isinstance(parse_serving(stored), ModelServing)
    assert isinstance(offline, tuple) is bool(refusal), f"API server: {refusal or 'accepted'}; offline: {offline}"


def test_kubectl_apply_refuses_a_misspelt_field(cluster: LocalCluster, kubectl: Kubectl) -> None:
    text = yaml.safe_dump(manifest({"contextLenght": 8192}))
    answer = kubectl("apply", "-f", "-", input=text, check=False)
    assert 'unknown field "spec.contextLenght"' in answer
    assert "No resources found" in kubectl("get", "msv", check=False)


def test_kubectl_apply_refuses_what_is_no_part_of_a_pod(cluster: LocalCluster, kubectl: Kubectl) -> None:
    fragments = {"affinity": {"nodeAfinity": {}}, "tolerations": [{"key": 5}], "resources": {"request": {"cpu": 1}}}
    for name, fragment in fragments.items():
        text = yaml.safe_dump(manifest({"pod": {name: fragment}}))
        answer = kubectl("apply", "-f", "-", input=text, check=False)
        assert f"spec.pod.{name}" in answer
        assert "unknown field" in answer or "must be of type string" in answer
    assert "No resources found" in kubectl("get", "msv", check=False)


@pytest.mark.parametrize("path", ["", ".gpu", ".engine.env", ".cache", ".pod", ".huggingFace.tokenSecretRef"])
def test_kubectl_explain_describes_every_field_of_the_spec(cluster: LocalCluster, kubectl: Kubectl, path: str) -> None:
    text = kubectl("explain", f"{PLURAL}.spec{path}")
    _, _, fields = text.partition("FIELDS:")
    names = re.findall(r"(?m)^  (\w+)\t", fields)
    assert names
    blocks = re.split(r"(?m)^  \w+\t.*$", fields)[1:]
    assert [name for name, block in zip(names, blocks, strict=True) if not re.search(r"(?m)^    \S", block)] == []


def test_kubectl_get_shows_the_columns_and_what_status_says(cluster: LocalCluster, kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", input=yaml.safe_dump(manifest({}, "shown")))
    plan = {
        "decision": "One sentence.",
        "model": "a/b",
        "modelRevision": "main",
        "factsFrom": "Catalogue",
        "precision": "bf16",
        "engineVersion": "0.32.0",
        "tensorParallelSize": 4,
        "pipelineParallelSize": 1,
        "gpusPerReplica": 4,
        "gpuProduct": "NVIDIA-L40S",
        "nodesPerReplica": 1,
        "arguments": [],
        "memory": [],
        "kvCacheTokens": 1,
        "maxConcurrency": "1.0",
    }
    status = yaml.safe_dump({"status": {"plan": plan, "ready": "0/1", "reason": "RollingOut"}})
    kubectl("patch", "msv", "shown", "--subresource=status", "--type=merge", "--patch", status)
    header, row = kubectl("get", "msv").splitlines()
    assert header.split() == ["NAME", "MODEL", "PRECISION", "GPUS", "TP", "READY", "REASON", "AGE"]
    assert row.split()[:7] == ["shown", "a/b", "bf16", "4", "4", "0/1", "RollingOut"]
    assert "NVIDIA-L40S" in kubectl("get", "modelservings", "-o", "wide")
    assert "modelserving.modelserving.dev/shown" in kubectl("get", "all", "-o", "name")


def test_kubectl_scale_and_the_scale_subresource(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-f", "-", input=yaml.safe_dump(manifest({}, "scaled")))
    kubectl("scale", "msv/scaled", "--replicas=3")
    selector = "modelserving.dev/name=scaled"
    status = yaml.safe_dump({"status": {"replicas": 2, "selector": selector}})
    kubectl("patch", "msv", "scaled", "--subresource=status", "--type=merge", "--patch", status)
    scale = cluster.request("GET", f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}/scaled/scale")
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 2, "selector": selector}
    assert "spec.replicas" in kubectl("scale", "msv/scaled", "--replicas=2000", check=False)


def test_a_write_of_the_spec_does_not_touch_status_nor_the_other_way_round(
    cluster: LocalCluster, kubectl: Kubectl
) -> None:
    kubectl("apply", "-f", "-", input=yaml.safe_dump({**manifest({}, "apart"), "status": {"ready": "1/1"}}))
    assert kubectl("get", "msv", "apart", "-o", "jsonpath={.status}") == ""
    patch = yaml.safe_dump({"spec": {"replicas": 9}, "status": {"ready": "1/1"}})
    kubectl("patch", "msv", "apart", "--subresource=status", "--type=merge", "--patch", patch)
    assert kubectl("get", "msv", "apart", "-o", "jsonpath={.spec.replicas} {.status.ready}") == "1 1/1"
    assert kubectl("get", "msv", "apart", "-o", "jsonpath={.metadata.generation}") == "1"


def test_models_are_found_by_a_field_selector(cluster: LocalCluster, kubectl: Kubectl) -> None:
    for name, model in (("one", "a/one"), ("two", "a/two")):
        kubectl("apply", "-f", "-", input=yaml.safe_dump(manifest({"model": model}, name)))
    found = kubectl("get", "msv", "--field-selector", "spec.model=a/two", "-o", "name")
    assert found.split() == ["modelserving.modelserving.dev/two"]
