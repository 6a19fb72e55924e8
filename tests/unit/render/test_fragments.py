from typing import Any

import pytest

from modelserving.render.fragments import PodParts, read_fragments
from modelserving.render.problem import RenderProblem
from render_cases import serving

NODE_TERM = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _read(pod: dict[str, Any], allow_host_path: bool = False, **engine: Any) -> PodParts | RenderProblem:
    return read_fragments(serving(pod=pod, engine=engine).spec, allow_host_path)


def _volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


GOOD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a toleration": {"tolerations": [{"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}]},
    "a toleration of all": {"tolerations": [{"operator": "Exists"}]},
    "a toleration for a while": {
        "tolerations": [{"key": "x", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]
    },
    "node affinity": {
        "affinity": {
            "nodeAffinity": {
                REQUIRED: {
                    "nodeSelectorTerms": [
                        NODE_TERM,
                        {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}]},
                    ]
                },
                PREFERRED: [{"weight": 5, "preference": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}}],
            }
        }
    },
    "pod affinity": {
        "affinity": {
            "podAffinity": {
                REQUIRED: [
                    {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}, "namespaceSelector": {}}
                ]
            },
            "podAntiAffinity": {
                PREFERRED: [
                    {
                        "weight": 100,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]},
                        },
                    }
                ]
            },
        }
    },
    "resources": {"resources": {"requests": {"cpu": "8", "memory": "64Gi"}, "limits": {"memory": "96Gi"}}},
    "volumes": {
        "volumes": [
            {"name": "a", "configMap": {"name": "x", "items": [{"key": "k", "path": "p"}], "defaultMode": 0o644}},
            {"name": "b", "secret": {"secretName": "x", "optional": True}},
            {"name": "c", "emptyDir": {}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "x", "readOnly": True}},
            {"name": "e", "nfs": {"server": "10.0.0.1", "path": "/x"}},
            {"name": "f", "csi": {"driver": "x", "volumeAttributes": {"a": "b"}}},
            {
                "name": "g",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}},
                        {"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    ]
                },
            },
        ],
        "volumeMounts": [{"name": "a", "mountPath": "/etc/a", "subPath": "p", "mountPropagation": "None"}],
    },
}


@pytest.mark.parametrize("pod", GOOD.values(), ids=GOOD)
def test_good_fragments_are_passed_on_as_they_are(pod: dict[str, Any]) -> None:
    parts = _read(pod)
    assert isinstance(parts, PodParts)
    assert parts.tolerations == pod.get("tolerations", [])
    assert parts.affinity == pod.get("affinity", {})
    assert parts.volumes == pod.get("volumes", [])
    assert parts.volume_mounts == pod.get("volumeMounts", [])
    assert {"requests": parts.requests, "limits": parts.limits} == {"requests": {}, "limits": {}} | pod.get(
        "resources", {}
    )


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "affinity of another kind": ({"affinity": {"foo": 1}}, "spec.pod.affinity.foo: there is no such field"),
    "names as Python writes them": (
        {"affinity": {"node_affinity": {}}},
        "spec.pod.affinity.node_affinity: there is no such field",
    ),
    "a term that is empty": (
        {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{}]}}}},
        f"spec.pod.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0]: an empty term matches no node",
    ),
    "no terms": ({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}}, "at least 1 item"),
    "In without values": (
        {
            "affinity": {
                "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [{"key": "k", "operator": "In"}]}]}}
            }
        },
        "operator In needs values",
    ),
    "Exists with values": (
        {
            "affinity": {
                "podAffinity": {
                    REQUIRED: [
                        {
                            "topologyKey": "z",
                            "labelSelector": {
                                "matchExpressions": [{"key": "k", "operator": "Exists", "values": ["v"]}]
                            },
                        }
                    ]
                }
            }
        },
        "operator Exists takes no values",
    ),
    "Gt of a word": (
        {
            "affinity": {
                "nodeAffinity": {
                    REQUIRED: {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Gt", "values": ["x"]}]}]
                    }
                }
            }
        },
        "operator Gt needs one whole number",
    ),
    "weight of 101": (
        {"affinity": {"nodeAffinity": {PREFERRED: [{"weight": 101, "preference": NODE_TERM}]}}},
        "spec.pod.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight",
    ),
    "a toleration with a number for a value": (
        {"tolerations": [{"key": "a", "value": 3}]},
        "spec.pod.tolerations[0].value: must be",
    ),
    "a toleration without key": ({"tolerations": [{"value": "a"}]}, "operator must be Exists"),
    "a toleration of any value with one": (
        {"tolerations": [{"key": "k", "operator": "Exists", "value": "a"}]},
        "value must be left out",
    ),
    "seconds without NoExecute": (
        {"tolerations": [{"key": "k", "tolerationSeconds": 3}]},
        "tolerationSeconds needs effect NoExecute",
    ),
    "an unknown effect": ({"tolerations": [{"key": "k", "effect": "Never"}]}, "spec.pod.tolerations[0].effect"),
    "GPUs": ({"resources": {"limits": {"nvidia.com/gpu": "8"}}}, "nvidia.com/gpu cannot be set here"),
    "claims": ({"resources": {"claims": []}}, "spec.pod.resources.claims: there is no such field"),
    "no quantity": ({"resources": {"requests": {"cpu": "lots"}}}, "spec.pod.resources.requests.cpu"),
    "a negative quantity": ({"resources": {"requests": {"cpu": "-1"}}}, "must not be negative"),
    "a quantity with a point": ({"resources": {"requests": {"cpu": 0.5}}}, "put 0.5 in quotes"),
    "a quantity that is true": ({"resources": {"requests": {"cpu": True}}}, "must be a quantity"),
    "a request above its limit": (
        {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}},
        "requests.cpu is above limits.cpu",
    ),
    "the operator's volume": (_volume() | {"volumes": [{"name": "cache", "emptyDir": {}}]}, "the operator's"),
    "a volume of no kind": (_volume(), "name one kind"),
    "a volume of two kinds": (_volume(emptyDir={}, secret={"secretName": "s"}), "name one kind"),
    "a volume kind that is not open": (_volume(iscsi={}), "spec.pod.volumes[0].iscsi: there is no such field"),
    "a volume called in capitals": ({"volumes": [{"name": "V", "emptyDir": {}}]}, "lower case"),
    "two volumes of one name": (
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
        "spec.pod: volumes: two are called v",
    ),
    "a projection of no kind": (_volume(projected={"sources": [{}]}), "name one source"),
    "a file of no source": (
        _volume(projected={"sources": [{"downwardAPI": {"items": [{"path": "p"}]}}]}),
        "name one source: fieldRef or",
    ),
    "a mount of nothing": ({"volumeMounts": [{"name": "v", "mountPath": "/x"}]}, "there is no volume v"),
    "two mounts at one path": (
        _volume(emptyDir={}) | {"volumeMounts": [{"name": "v", "mountPath": "/x"}] * 2},
        "two are at /x",
    ),
    "both sub paths": (
        _volume(emptyDir={}) | {"volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "a", "subPathExpr": "b"}]},
        "exclude each other",
    ),
    "a sub path that leaves": (
        _volume(emptyDir={}) | {"volumeMounts": [{"name": "v", "mountPath": "/x", "subPath": "a/../.."}]},
        "without ..",
    ),
    "a label of the operator": (
        {"labels": {"modelserving.dev/name": "other"}},
        "spec.pod.labels: modelserving.dev/name is the operator's",
    ),
    "a label of the Deployment": ({"labels": {"pod-template-hash": "x"}}, "pod-template-hash is the operator's"),
    "an annotation of the operator": ({"annotations": {"modelserving.dev/plan": "x"}}, "is the operator's"),
    "annotations without end": (
        {"annotations": {f"a{n}": "x" * 16000 for n in range(20)}},
        "spec.pod.annotations: 320050 bytes in all",
    ),
}


@pytest.mark.parametrize(("pod", "part"), BAD.values(), ids=BAD)
def test_bad_fragments_are_named(pod: dict[str, Any], part: str) -> None:
    problem = _read(pod)
    assert isinstance(problem, RenderProblem)
    assert problem.reason == "InvalidSpec"
    assert part in problem.message


@pytest.mark.parametrize(
    "path", ["/", "//", "/cache", "/cache/", "/cache/x", "/dev", "/dev/shm", "//dev/../cache", "x", "/a:b"]
)
def test_what_the_operator_mounts_is_not_covered(path: str) -> None:
    problem = _read(_volume(emptyDir={}) | {"volumeMounts": [{"name": "v", "mountPath": path}]})
    assert isinstance(problem, RenderProblem)
    assert "spec.pod.volumeMounts[0]" in problem.message


@pytest.mark.parametrize("path", ["/cached", "/dev/shmx", "/data", "/data/cache"])
def test_paths_beside_the_operators_are_free(path: str) -> None:
    assert isinstance(_read(_volume(emptyDir={}) | {"volumeMounts": [{"name": "v", "mountPath": path}]}), PodParts)


def test_a_folder_of_the_node_needs_the_operators_leave() -> None:
    pod = _volume(hostPath={"path": "/data"})
    problem = _read(pod)
    assert isinstance(problem, RenderProblem)
    assert problem.reason == "NotAllowedBySettings"
    assert "spec.pod.volumes[0].hostPath" in problem.message
    assert isinstance(_read(pod, allow_host_path=True), PodParts)


def test_what_the_api_server_does_not_store_is_left_out() -> None:
    parts = _read(
        {
            "tolerations": [{"key": "k", "operator": "Equal", "value": "", "effect": ""}],
            "volumes": [
                {"name": "v", "persistentVolumeClaim": {"claimName": "x", "readOnly": False}},
                {"name": "e", "emptyDir": {"medium": ""}},
            ],
            "volumeMounts": [{"name": "v", "mountPath": "/x", "readOnly": False, "subPath": None}],
            "affinity": {
                "nodeAffinity": {PREFERRED: []},
                "podAffinity": {
                    REQUIRED: [{"topologyKey": "z", "labelSelector": {"matchLabels": {}}, "namespaces": []}]
                },
            },
        }
    )
    assert isinstance(parts, PodParts)
    assert parts.tolerations == [{"key": "k", "operator": "Equal"}]
    assert parts.volumes == [
        {"name": "v", "persistentVolumeClaim": {"claimName": "x"}},
        {"name": "e", "emptyDir": {}},
    ]
    assert parts.volume_mounts == [{"name": "v", "mountPath": "/x"}]
    assert parts.affinity == {
        "nodeAffinity": {},
        "podAffinity": {REQUIRED: [{"topologyKey": "z", "labelSelector": {}}]},
    }


def test_whole_numbers_are_taken_for_quantities_and_written_as_text() -> None:
    parts = _read({"resources": {"requests": {"cpu": 2, "memory": 1_500_000_000}}})
    assert isinstance(parts, PodParts)
    assert parts.requests == {"cpu": "2", "memory": "1500000000"}


def test_only_the_first_problems_are_listed() -> None:
    problem = _read({"tolerations": [{"x": 1}] * 8})
    assert isinstance(problem, RenderProblem)
    assert problem.message.count("there is no such field") == 5
    assert problem.message.endswith("and 3 more.")


ENV: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a reserved name": (
        [{"name": "HF_TOKEN", "value": "secret"}],
        "spec.engine.env[0]: HF_TOKEN is the operator's: use spec.huggingFace.tokenSecretRef",
    ),
    "no source": ([{"name": "A", "valueFrom": {}}], "spec.engine.env[0].valueFrom: name one source"),
    "two sources": (
        [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}, "secretKeyRef": {"name": "a", "key": "b"}}}],
        "name one source",
    ),
    "a source of no kind": ([{"name": "A", "valueFrom": {"vault": {}}}], "valueFrom.vault: there is no such field"),
    "a number for a name": (
        [{"name": "A", "valueFrom": {"secretKeyRef": {"name": 3, "key": "b"}}}],
        "spec.engine.env[0].valueFrom.secretKeyRef.name: must be",
    ),
}


@pytest.mark.parametrize(("env", "part"), ENV.values(), ids=ENV)
def test_bad_variables_are_named_and_not_shown(env: list[dict[str, Any]], part: str) -> None:
    problem = _read({}, env=env)
    assert isinstance(problem, RenderProblem)
    assert part in problem.message
    assert "secret'" not in problem.message


def test_good_variables_are_passed_on() -> None:
    env = [
        {"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": 1}}},
        {"name": "EMPTY", "value": ""},
    ]
    parts = _read({}, env=env)
    assert isinstance(parts, PodParts)
    assert parts.env[:2] == env[:2]
    assert parts.env[2:] == [
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1"}}},
        {"name": "EMPTY"},
    ]
