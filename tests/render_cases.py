"""A ModelServing and a plan that rendering tests share. The figures are those of LLaVA-OneVision-72B on four H100, rounded."""

from typing import Any

from modelserving.api.modelserving import ModelServing
from modelserving.engine.config import EngineConfig
from modelserving.planning.plan import Alternative, Placement, Plan, Rejected
from modelserving.settings import Settings
from modelserving.sizing.budget import KvCacheNeed, MemoryEstimate, RankMemory, Term
from modelserving.units import GIB, MIB

MODEL = "llava-hf/llava-onevision-qwen2-72b-ov-hf"
COMMIT = "3f2a91c5d0b7e8a6f4c3b2a19087f6e5d4c3b2a1"
SETTINGS = Settings()


# What users may write and the API server stores in other words: empty texts, falses, other units, null.
ODD_SPEC: dict[str, Any] = {
    "pod": {
        "tolerations": [{"operator": "Exists", "effect": ""}, {"key": "a", "value": "", "operator": "Equal"}],
        "volumes": [
            {
                "name": "p",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "t"}},
                        {
                            "downwardAPI": {
                                "items": [
                                    {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}},
                                    {
                                        "path": "c",
                                        "resourceFieldRef": {
                                            "containerName": "vllm",
                                            "resource": "limits.memory",
                                            "divisor": "1024Ki",
                                        },
                                    },
                                ]
                            }
                        },
                        {"configMap": {"name": "x", "items": [{"key": "k", "path": "q"}], "optional": False}},
                    ]
                },
            },
            {"name": "e", "emptyDir": {"medium": "", "sizeLimit": "1024Mi"}},
            {"name": "h", "hostPath": {"path": "/data", "type": ""}},
            {"name": "n", "nfs": {"server": "s", "path": "/x", "readOnly": False}},
            {"name": "c", "csi": {"driver": "d", "volumeAttributes": {}}},
            {"name": "k", "persistentVolumeClaim": {"claimName": "c", "readOnly": False}},
            {"name": "s", "secret": {"secretName": "s", "defaultMode": 256}},
        ],
        "volumeMounts": [
            {"name": "e", "mountPath": "/e", "readOnly": False, "mountPropagation": "None"},
            {"name": "e", "mountPath": "/f", "subPath": "a"},
        ],
        "resources": {
            "requests": {"cpu": "0.5", "memory": "2000Mi"},
            "limits": {"memory": "65536Mi", "ephemeral-storage": "300000Mi"},
        },
        "labels": {"x": ""},
        "annotations": {"y": ""},
        "nodeSelector": {},
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [],
                            "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["zz"]}],
                        }
                    ]
                }
            },
            "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []},
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "podAffinityTerm": {
                            "topologyKey": "z",
                            "labelSelector": {"matchLabels": {}},
                            "namespaceSelector": {},
                            "namespaces": [],
                        },
                    }
                ]
            },
        },
    },
    "engine": {
        "env": [
            {"name": "E", "value": ""},
            {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "G", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": 1}}},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b", "optional": False}}},
        ]
    },
    "replicas": 0,
}


def serving(name: str = "llava", namespace: str = "default", **spec: Any) -> ModelServing:
    """A ModelServing as the API server would hand it over; keyword arguments are fields of spec, as in YAML."""
    return ModelServing.model_validate(
        {
            "apiVersion": "modelserving.dev/v1alpha1",
            "kind": "ModelServing",
            "metadata": {"name": name, "namespace": namespace, "uid": "0d1f-uid", "generation": 3},
            "spec": {"model": MODEL, "contextLength": 32768, "concurrency": 4} | spec,
        }
    )


def engine_config(**changes: Any) -> EngineConfig:
    """Sizes of the plan."""
    sizes: dict[str, Any] = {
        "max_model_len": 32768,
        "max_num_seqs": 1024,
        "max_num_batched_tokens": 8192,
        "gpu_memory_utilization": 0.92,
        "tensor_parallel_size": 4,
    }
    return EngineConfig(**sizes | changes)


def memory(**changes: Any) -> MemoryEstimate:
    """The arithmetic of the plan."""
    rank = RankMemory(
        pipeline_rank=0,
        weights=Term.exact(35006 * MIB, "tensor inventory"),
        activation_peak=Term(2355 * MIB, 2048 * MIB, 2660 * MIB, "profile run"),
        cuda_graphs=Term(922 * MIB, 700 * MIB, 1200 * MIB, "51 sizes"),
        non_torch=Term(300 * MIB, 200 * MIB, 400 * MIB, "NCCL"),
        kv_cache_available=36460 * MIB,
        kv_cache_available_low=35900 * MIB,
    )
    values: dict[str, Any] = {
        "ranks": (rank,),
        "total_bytes": 81559 * MIB,
        "budget_bytes": 75043 * MIB,
        "kv_cache": KvCacheNeed(16, 16 * 81920, 2560 * MIB, 2561 * MIB, 10241 * MIB),
        "kv_cache_tokens": 466_688,
        "max_concurrency": 14.24,
        "host_memory_bytes": 14 * GIB,
        "assumptions": (),
    }
    return MemoryEstimate(**values | changes)


def placement(**changes: Any) -> Placement:
    """Four GPUs of one node, with room for three replicas."""
    values: dict[str, Any] = {
        "gpu_product": "NVIDIA-H100-80GB-HBM3",
        "gpu_resource": "nvidia.com/gpu",
        "gpus_per_node": 4,
        "free_now": 3,
        "beside_now": 3,
    }
    return Placement(**values | changes)


def plan(**changes: Any) -> Plan:
    """The plan of the sample."""
    values: dict[str, Any] = {
        "model": MODEL,
        "revision": COMMIT,
        "origin": "Hub",
        "architecture": "LlavaOnevisionForConditionalGeneration",
        "parameter_count": 73_180_000_000,
        "precision": "bf16",
        "stored": True,
        "quantization": None,
        "engine_version": "0.32.0",
        "config": engine_config(),
        "placement": placement(),
        "memory": memory(),
        "concurrency": 4,
        "checkpoint_bytes": 139_571 * MIB,
        "decision": f"{MODEL} in bf16 (as stored) on 4 × NVIDIA-H100-80GB-HBM3.",
        "rejected": (Rejected("2 × NVIDIA-H100-80GB-HBM3", "InsufficientGPUMemory", "short by 2.9 GiB each", 2),),
        "alternatives": (Alternative("2 × NVIDIA-H200", "68.2 GiB of weights on each GPU"),),
        "notes": ("Facts come from the Hub.",),
        "request_digest": "0123456789abcdef",
    }
    return Plan(**values | changes)
