"""Rendered manifests against Kubernetes' own types (the strict models of the `kubernetes` package), and against golden files.

The API server's word on them is in tests/cluster. Golden files are rewritten, after a look at what changed, by

    PYTHONPATH=operator:tests python tests/contract/test_manifests.py
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client.models.v1_deployment import V1Deployment
from kubernetes.client.models.v1_service import V1Service
from pydantic import ValidationError

from modelserving.api.modelserving import ModelServing
from modelserving.render.digest import differs
from modelserving.render.manifests import RenderProblem, render
from modelserving.settings import Settings
from modelserving.units import GIB
from render_cases import MODEL, ODD_SPEC, engine_config, memory, placement, plan, serving

GOLDEN = Path(__file__).parents[1] / "golden"
SETTINGS = Settings(allow_host_path=True)

# Golden file -> fields of spec, changes to the plan.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "llava.yaml": ({}, {}),
    "everything.yaml": (
        {
            "replicas": 2,
            "engine": {
                "version": "0.32.0",
                "extraArgs": ["--tool-call-parser", "hermes", "--enable-auto-tool-choice"],
                "env": [
                    {"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"},
                    {"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": "api", "key": "key"}}},
                ],
            },
            "huggingFace": {"tokenSecretRef": {"name": "hub", "key": "token"}},
            "cache": {"persistentVolumeClaim": {"claimName": "weights"}},
            "pod": {
                "nodeSelector": {"pool": "gpu"},
                "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {
                                    "matchExpressions": [
                                        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}
                                    ]
                                },
                                {"matchExpressions": [{"key": "spot", "operator": "DoesNotExist"}]},
                            ]
                        }
                    },
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "weight": 10,
                                "podAffinityTerm": {
                                    "topologyKey": "kubernetes.io/hostname",
                                    "labelSelector": {"matchLabels": {"modelserving.dev/name": "llava"}},
                                },
                            }
                        ]
                    },
                },
                "labels": {"team": "ml"},
                "annotations": {"example.com/note": "x"},
                "priorityClassName": "inference",
                "serviceAccountName": "llava",
                "imagePullSecrets": ["registry"],
                "resources": {"requests": {"cpu": 16}, "limits": {"memory": "128Gi"}},
                "volumes": [{"name": "templates", "configMap": {"name": "templates"}}],
                "volumeMounts": [{"name": "templates", "mountPath": "/templates", "readOnly": True}],
            },
        },
        {
            "config": engine_config(quantization="fp8_per_tensor", kv_cache_dtype="fp8", cpu_offload_bytes=16 * GIB),
            "quantization": "fp8_per_tensor",
            "precision": "fp8",
            "stored": False,
            "placement": placement(free_now=2),
            "memory": memory(host_memory_bytes=100 * GIB),
        },
    ),
}


def _manifests(spec: dict[str, Any], changes: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    rendered = render(serving(**spec), plan(**changes), SETTINGS)
    assert not isinstance(rendered, RenderProblem), rendered
    return rendered


def _golden(manifests: tuple[dict[str, Any], ...]) -> str:
    """YAML of manifests; the record of the plan, which its own tests cover, and the digests are left out."""
    shown = copy.deepcopy(list(manifests))
    for manifest in shown:
        annotations = manifest["metadata"]["annotations"]
        annotations.update(dict.fromkeys(annotations, "(left out)"))
    return yaml.safe_dump_all(shown, sort_keys=False, width=140)


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES)
def test_manifests_are_as_they_were_looked_at(name: str, case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert (GOLDEN / name).read_text() == _golden(_manifests(*case)), (
        "manifests changed: PYTHONPATH=operator:tests python tests/contract/test_manifests.py"
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_kubernetes_own_types_take_the_manifests(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
    deployment, service = _manifests(*case)
    _validate(deployment, service)


def test_kubernetes_own_types_take_what_is_written_oddly() -> None:
    deployment, service = _manifests(ODD_SPEC, {})
    _validate(deployment, service)
    assert differs(deployment, copy.deepcopy(deployment)) == []


def test_kubernetes_own_types_are_strict() -> None:
    deployment, _ = _manifests({}, {})
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["resources"]["limits"]["nvidia.com/gpu"] = 4
    with pytest.raises(ValidationError):
        V1Deployment.model_validate(deployment)
    container["resources"]["limits"]["nvidia.com/gpu"] = "4"
    container["livenesProbe"] = container["livenessProbe"]
    with pytest.raises(ValidationError):
        V1Deployment.model_validate(deployment)


def _validate(deployment: dict[str, Any], service: dict[str, Any]) -> None:
    V1Deployment.model_validate(deployment)
    V1Service.model_validate(service)


KEYS = (
    *(
        "key",
        "operator",
        "value",
        "effect",
        "tolerationSeconds",
        "nodeAffinity",
        "podAffinity",
        "podAntiAffinity",
        "weight",
    ),
    *(
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
        "preference",
    ),
    *("nodeSelectorTerms", "matchExpressions", "matchFields", "values", "labelSelector", "matchLabels", "topologyKey"),
    *("requests", "limits", "cpu", "memory", "nvidia.com/gpu", "name", "mountPath", "emptyDir", "configMap", "secret"),
    *(
        "secretName",
        "sizeLimit",
        "medium",
        "readOnly",
        "subPath",
        "hostPath",
        "path",
        "secretKeyRef",
        "fieldRef",
        "fieldPath",
    ),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["", "Exists", "In", "NoSchedule", "v", "w", "1Gi", "500m", "/x", "/cache", "Memory"]),
    st.text(max_size=5),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4)
VOLUMES = st.lists(
    st.one_of(
        OBJECTS,
        st.fixed_dictionaries(
            {"name": st.sampled_from(["v", "w"])},
            optional={"emptyDir": st.one_of(st.just({}), OBJECTS), "configMap": st.just({"name": "c"})},
        ),
    ),
    max_size=3,
)
TOLERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from(["a", "b", ""]),
        "operator": st.sampled_from(["Exists", "Equal"]),
        "value": st.sampled_from(["", "x"]),
        "effect": st.sampled_from(["", "NoSchedule", "NoExecute"]),
        "tolerationSeconds": st.integers(),
    },
)
PODS = st.fixed_dictionaries(
    {},
    optional={
        "tolerations": st.lists(st.one_of(OBJECTS, TOLERATIONS), max_size=3),
        "affinity": OBJECTS,
        "resources": st.dictionaries(
            st.sampled_from(["requests", "limits", "claims"]),
            st.dictionaries(
                st.sampled_from(["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"]), SCALARS, max_size=3
            ),
            max_size=2,
        ),
        "volumes": VOLUMES,
        "volumeMounts": st.lists(
            st.one_of(
                OBJECTS,
                st.fixed_dictionaries({"name": st.just("v"), "mountPath": st.sampled_from(["/x", "/y", "/dev"])}),
            ),
            max_size=2,
        ),
        "labels": st.dictionaries(st.sampled_from(["a", "b/c", "modelserving.dev/name"]), st.sampled_from(["", "v"])),
        "annotations": st.dictionaries(st.sampled_from(["a", "b/c"]), st.text(max_size=20)),
        "nodeSelector": st.dictionaries(st.sampled_from(["a", "b/c"]), st.sampled_from(["", "v"])),
        "imagePullSecrets": st.lists(st.sampled_from(["a", "b"]), unique=True),
    },
)
ENGINES = st.fixed_dictionaries(
    {},
    optional={
        "extraArgs": st.lists(st.sampled_from(["--seed=1", "-tp=2", "--enforce-eager", "x", "--nope"]), max_size=3),
        "env": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["A", "HF_TOKEN"])},
                optional={"value": st.text(max_size=3), "valueFrom": OBJECTS},
            ),
            max_size=2,
        ),
        "image": st.sampled_from(["a:1", "b@sha256:0"]),
    },
)
CACHES = st.sampled_from(
    [
        {},
        {"emptyDir": {}},
        {"emptyDir": {"sizeLimit": "1Gi"}},
        {"persistentVolumeClaim": {"claimName": "c"}},
        {"hostPath": {"path": "/m"}},
    ]
)
SPECS = st.fixed_dictionaries(
    {}, optional={"pod": PODS, "engine": ENGINES, "cache": CACHES, "replicas": st.integers(0, 1000)}
)


@given(SPECS)
def test_whatever_the_api_accepts_gives_valid_manifests_or_a_reason(spec: dict[str, Any]) -> None:
    manifest = {"metadata": {"name": "llava"}, "spec": {"model": MODEL, **spec}}
    try:
        parsed = ModelServing.model_validate(manifest)
    except ValidationError:
        return
    rendered = render(parsed, plan(), SETTINGS)
    if isinstance(rendered, RenderProblem):
        assert rendered.reason
        assert "spec." in rendered.message
        return
    assert render(parsed, plan(), SETTINGS) == rendered
    _validate(*rendered)
    for one in rendered:
        assert differs(one, copy.deepcopy(one)) == []


if __name__ == "__main__":
    for file, (spec, changes) in CASES.items():
        (GOLDEN / file).write_text(_golden(_manifests(spec, changes)))
