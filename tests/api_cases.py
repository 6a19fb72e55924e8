"""Specs that are refused, with the field and the words, and specs that are not; held against pydantic and against a real API server."""

from dataclasses import dataclass
from typing import Any

TOO_LONG = "a" * 300


@dataclass(frozen=True)
class Refused:
    """A spec that must be refused.

    Attributes:
        spec: what is written; `model` is filled in where it is missing.
        field: where the fault is, as the API names it.
        words: what both refusals say; empty where each has words of its own for it.
    """

    spec: dict[str, Any]
    field: str
    words: str = ""


REFUSED = {
    "a field by a name in snake case": Refused({"context_length": 4096}, "spec.context_length"),
    "a model name with a space": Refused({"model": "my model"}, "spec.model", "no spaces"),
    "a path as the model": Refused({"model": "/models/llava"}, "spec.model", "pvc://claim/path"),
    "a relative path as the model": Refused({"model": "./llava"}, "spec.model", "pvc://claim/path"),
    "a home folder as the model": Refused({"model": "~/llava"}, "spec.model", "pvc://claim/path"),
    "an address as the model": Refused({"model": "https://hub/a/b"}, "spec.model", "write the Hub id alone"),
    "a model name of 300 characters": Refused({"model": TOO_LONG}, "spec.model", "at most 96 characters"),
    "a model name of 1,000 characters": Refused({"model": "a/" * 500}, "spec.model"),
    "a model name of three parts": Refused({"model": "a/b/c"}, "spec.model", "no model name"),
    "a model name that ends with a dot": Refused({"model": "a/b."}, "spec.model", "no model name"),
    "a model name with two dots in a row": Refused({"model": "a/b..c"}, "spec.model", "no model name"),
    "a model name with two dashes in a row": Refused({"model": "a/b--c"}, "spec.model", "no model name"),
    "a model name that ends with .git": Refused({"model": "a/b.git"}, "spec.model", "no model name"),
    "a model name with a line break": Refused({"model": "a/b\n"}, "spec.model", "no model name"),
    "a volume path that climbs": Refused({"model": "pvc://claim/../x"}, "spec.model", "pvc://claim/path"),
    "an empty model name": Refused({"model": ""}, "spec.model"),
    "a number as the model": Refused({"model": 7}, "spec.model"),
    "a revision with a space": Refused({"revision": "my branch"}, "spec.revision", "no branch, tag or commit"),
    "an unknown precision": Refused({"precision": "int5"}, "spec.precision", "int4"),
    "contextLength 0": Refused({"contextLength": 0}, "spec.contextLength", "greater than or equal to 1"),
    "contextLength -1": Refused({"contextLength": -1}, "spec.contextLength", "greater than or equal to 1"),
    "contextLength 10^12": Refused({"contextLength": 10**12}, "spec.contextLength", "less than or equal to 10485760"),
    "contextLength 10^20": Refused({"contextLength": 10**20}, "spec.contextLength"),
    "contextLength as text": Refused({"contextLength": "32768"}, "spec.contextLength", "integer"),
    "contextLength with a fraction": Refused({"contextLength": 1.5}, "spec.contextLength", "integer"),
    "contextLength true": Refused({"contextLength": True}, "spec.contextLength", "integer"),
    "concurrency 0": Refused({"concurrency": 0}, "spec.concurrency", "greater than or equal to 1"),
    "more tokens at once than any cluster holds": Refused(
        {"contextLength": 10_000_000, "concurrency": 4000}, "spec.concurrency", "at most 1,000,000,000 tokens"
    ),
    "replicas -1": Refused({"replicas": -1}, "spec.replicas", "greater than or equal to 0"),
    "replicas 1001": Refused({"replicas": 1001}, "spec.replicas", "less than or equal to 1000"),
    "an unknown field": Refused({"contextLenght": 5}, "spec.contextLenght"),
    "an unknown field of a part": Refused({"gpu": {"product": "NVIDIA-H100"}}, "spec.gpu.product"),
    "an unknown field of an item": Refused(
        {"variants": [{"precision": "int4", "model": "a/b", "x": 1}]}, "spec.variants[0].x"
    ),
    "a variant that is auto": Refused(
        {"variants": [{"precision": "auto", "model": "a/b"}]}, "spec.variants[0].precision", "say in which precision"
    ),
    "a variant without model": Refused({"variants": [{"precision": "int4"}]}, "spec.variants[0].model"),
    "a variant that is a path": Refused(
        {"variants": [{"precision": "int4", "model": "/x"}]}, "spec.variants[0].model", "pvc://claim/path"
    ),
    "two variants of one precision": Refused(
        {"variants": [{"precision": "int4", "model": "a/b"}, {"precision": "int4", "model": "a/c"}]}, "spec.variants"
    ),
    "a fallback twice": Refused({"fallbacks": ["fp8", "fp8"]}, "spec.fallbacks", "the same fallback twice"),
    "an unknown fallback": Refused({"fallbacks": ["disk"]}, "spec.fallbacks[0]", "cpuOffload"),
    "a GPU product twice": Refused({"gpu": {"products": ["A", "A"]}}, "spec.gpu.products"),
    "tensorParallelSize 0": Refused({"gpu": {"tensorParallelSize": 0}}, "spec.gpu.tensorParallelSize"),
    "more ranks than GPUs allowed": Refused(
        {"gpu": {"tensorParallelSize": 2, "pipelineParallelSize": 2, "maxPerReplica": 3}},
        "spec.gpu.maxPerReplica",
        "is more than maxPerReplica",
    ),
    "all of the memory for vLLM": Refused(
        {"gpu": {"memoryUtilization": 1}}, "spec.gpu.memoryUtilization", "between 0.1 and 0.99"
    ),
    "memoryUtilization as a percentage": Refused(
        {"gpu": {"memoryUtilization": "90%"}}, "spec.gpu.memoryUtilization", "number"
    ),
    "a negative offload": Refused({"offload": {"cpuPerGPU": "-1Gi"}}, "spec.offload.cpuPerGPU", "cannot be negative"),
    "a negative offload as a number": Refused(
        {"offload": {"cpuPerGPU": -1}}, "spec.offload.cpuPerGPU", "cannot be negative"
    ),
    "an offload in a unit that is none": Refused(
        {"offload": {"cpuPerGPU": "16GiB"}}, "spec.offload.cpuPerGPU", "for example 16Gi"
    ),
    "an offload with a fraction": Refused({"offload": {"cpuPerGPU": 1.5}}, "spec.offload.cpuPerGPU"),
    "an image with a space": Refused({"engine": {"image": "vllm latest"}}, "spec.engine.image", "no container image"),
    "a version that is none": Refused(
        {"engine": {"version": "latest"}}, "spec.engine.version", "write for example 0.32.0"
    ),
    "an argument that is no text": Refused({"engine": {"extraArgs": [1]}}, "spec.engine.extraArgs[0]"),
    "an empty argument": Refused({"engine": {"extraArgs": [""]}}, "spec.engine.extraArgs[0]"),
    "a variable with value and valueFrom": Refused(
        {"engine": {"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}},
        "spec.engine.env[0]",
        "exclude each other",
    ),
    "a variable twice": Refused({"engine": {"env": [{"name": "A"}, {"name": "A"}]}}, "spec.engine.env"),
    "a variable whose name begins with a digit": Refused(
        {"engine": {"env": [{"name": "1A"}]}}, "spec.engine.env[0].name", "no name of a variable"
    ),
    "a Secret whose name is none": Refused(
        {"huggingFace": {"tokenSecretRef": {"name": "Hugging Face"}}},
        "spec.huggingFace.tokenSecretRef.name",
        "no name of a Kubernetes object",
    ),
    "a key that no Secret can have": Refused(
        {"huggingFace": {"tokenSecretRef": {"name": "a", "key": "a/b"}}},
        "spec.huggingFace.tokenSecretRef.key",
        "no key of a Secret",
    ),
    "two places for the weights": Refused(
        {"cache": {"emptyDir": {}, "persistentVolumeClaim": {"claimName": "a"}}}, "spec.cache", "kept in one place"
    ),
    "a relative folder of the node": Refused(
        {"cache": {"hostPath": {"path": "models"}}}, "spec.cache.hostPath.path", "begin with '/'"
    ),
    "a folder of the node that climbs": Refused(
        {"cache": {"hostPath": {"path": "/models/../etc"}}}, "spec.cache.hostPath.path", "without '..'"
    ),
    "a label value with a space": Refused({"pod": {"labels": {"team": "a b"}}}, "spec.pod.labels", "no label value"),
    "a label key with a space": Refused(
        {"pod": {"labels": {"my team": "a"}}}, "spec.pod.labels", "no label or annotation key"
    ),
    "a label that is a number": Refused({"pod": {"labels": {"team": 1}}}, "spec.pod.labels"),
    "a node label with an empty key": Refused({"pod": {"nodeSelector": {"": "a"}}}, "spec.pod.nodeSelector"),
    "a toleration that is no mapping": Refused({"pod": {"tolerations": ["all"]}}, "spec.pod.tolerations[0]"),
    "an unknown replan": Refused({"replan": "Sometimes"}, "spec.replan", "WhenUnschedulable"),
    "planOnly as text": Refused({"planOnly": "yes"}, "spec.planOnly", "boolean"),
}

ACCEPTED: dict[str, dict[str, Any]] = {
    "only a model": {},
    "a model without owner": {"model": "gpt2"},
    "a model on a volume": {"model": "pvc://weights/llava/v1"},
    "the root of a volume": {"model": "pvc://weights"},
    "the longest Hub id": {"model": f"{'a' * 96}/{'b' * 96}"},
    "a pull request as revision": {"revision": "refs/pr/3"},
    "nulls, which are fields left out": {"gpu": None, "replicas": None, "contextLength": None},
    "sizes as numbers and as text": {"offload": {"cpuPerGPU": 0}, "cache": {"emptyDir": {"sizeLimit": "1.5e3"}}},
    "the largest request": {"contextLength": 10_000_000, "concurrency": 100},
    "a whole number where a share is asked": {"gpu": {"maxPerReplica": 8, "tensorParallelSize": 8}},
    "fragments with fields of their own": {
        "engine": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}]},
        "pod": {
            "affinity": {
                "podAntiAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "weight": 5,
                            "podAffinityTerm": {
                                "topologyKey": "kubernetes.io/hostname",
                                "labelSelector": {"matchLabels": {"app": "a"}},
                            },
                        }
                    ]
                }
            },
            "tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}],
            "resources": {"requests": {"cpu": 4, "memory": "16Gi"}},
            "volumes": [
                {
                    "name": "v",
                    "projected": {
                        "sources": [
                            {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}}
                        ]
                    },
                },
                {"name": "w", "csi": {"driver": "d", "volumeAttributes": {"a": "b"}}},
            ],
            "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}],
        },
    },
    "everything": {
        "revision": "v1.0",
        "precision": "int4",
        "variants": [{"precision": "int4", "model": "a/b-AWQ"}, {"precision": "int8", "model": "a/b-W8A8"}],
        "contextLength": 32768,
        "concurrency": 4,
        "kvCachePrecision": "fp8_e4m3",
        "fallbacks": ["fp8", "shorterContext"],
        "replicas": 0,
        "gpu": {"products": ["NVIDIA-L40S"], "tensorParallelSize": 2, "maxPerReplica": 4, "memoryUtilization": 0.85},
        "offload": {"cpuPerGPU": "16Gi"},
        "engine": {
            "image": "registry:5000/vllm/vllm-openai:v0.32.0",
            "version": "v0.32.0",
            "extraArgs": ["--enable-prefix-caching"],
            "env": [
                {"name": "A", "value": ""},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ],
        },
        "huggingFace": {"tokenSecretRef": {"name": "hugging-face"}},
        "cache": {"persistentVolumeClaim": {"claimName": "weights"}},
        "pod": {
            "nodeSelector": {"example.com/pool": "gpu"},
            "labels": {"team": ""},
            "annotations": {"example.com/contact": "someone, somewhere"},
            "priorityClassName": "high",
            "serviceAccountName": "models",
            "imagePullSecrets": ["registry"],
            "resources": {"requests": {"cpu": "8"}},
            "volumes": [{"name": "a", "emptyDir": {}}],
            "volumeMounts": [{"name": "a", "mountPath": "/a"}],
        },
        "replan": "WhenUnschedulable",
        "planOnly": True,
    },
}


def manifest(spec: dict[str, Any], name: str = "case") -> dict[str, Any]:
    """Return a ModelServing with that spec, `model` filled in where it is missing."""
    return {
        "apiVersion": "modelserving.dev/v1alpha1",
        "kind": "ModelServing",
        "metadata": {"name": name},
        "spec": {"model": "a/b", **spec},
    }
