"""The ModelServing resource: what a user writes. The CRD is generated from these models."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modelserving.api.base import ApiModel, ListType, Quantity, Rule
from modelserving.api.choices import Fallback, KvCachePrecision, Precision, Replan
from modelserving.api.names import ModelName, ObjectName, Revision, SecretKey
from modelserving.api.pod import (
    CacheSpec,
    ClaimCache,
    EmptyDirCache,
    EngineSpec,
    EnvVar,
    HostPathCache,
    PodSpec,
)

__all__ = [
    "API_VERSION",
    "GROUP",
    "KIND",
    "LONGEST_CONTEXT",
    "PLURAL",
    "SHORT_NAME",
    "VERSION",
    "CacheSpec",
    "ClaimCache",
    "EmptyDirCache",
    "EngineSpec",
    "EnvVar",
    "Fallback",
    "GpuSpec",
    "HostPathCache",
    "HuggingFaceSpec",
    "KvCachePrecision",
    "ModelServing",
    "ModelServingSpec",
    "ObjectMeta",
    "OffloadSpec",
    "PodSpec",
    "Precision",
    "Replan",
    "SecretKeyRef",
    "Variant",
]

GROUP = "modelserving.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelServing"
PLURAL = "modelservings"
SHORT_NAME = "msv"

# Ten million tokens: the longest context any published model states (Llama 4 Scout).
LONGEST_CONTEXT = 10_485_760
# A KV cache of this many tokens is tens of terabytes for the smallest models served: beyond it the request is a slip.
MOST_TOKENS = 1_000_000_000
# Below a tenth nothing is left beside the CUDA context; at 1.0 vLLM fails as soon as the driver takes a page for itself.
LEAST_UTILIZATION = 0.1
MOST_UTILIZATION = 0.99


class Variant(ApiModel):
    """Another published checkpoint of the same model."""

    precision: Annotated[
        Precision,
        Field(strict=False, description="Precision this checkpoint is stored in; not `auto`."),
        Rule(
            cel="self != 'auto'",
            message="say in which precision this checkpoint is stored: fp32, fp16, bf16, fp8, int8 or int4",
            holds=lambda precision: precision is not Precision.AUTO,
        ),
    ]
    model: Annotated[
        ModelName, Field(description="Hub id of the checkpoint, for example `Qwen/Qwen2-72B-Instruct-AWQ`.")
    ]
    revision: Annotated[Revision, Field(description="Branch, tag or commit of that checkpoint.")] = "main"


class GpuSpec(ApiModel):
    """Which GPUs may be used, and how."""

    rules = (
        Rule(
            cel="!has(self.maxPerReplica) || (has(self.tensorParallelSize) ? self.tensorParallelSize : 1)"
            " * (has(self.pipelineParallelSize) ? self.pipelineParallelSize : 1) <= self.maxPerReplica",
            message="tensorParallelSize x pipelineParallelSize is more than maxPerReplica: raise it, or lower one of the sizes",
            holds=lambda gpu: (
                gpu.max_per_replica is None
                or (gpu.tensor_parallel_size or 1) * (gpu.pipeline_parallel_size or 1) <= gpu.max_per_replica
            ),
            field="maxPerReplica",
        ),
    )

    products: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(
            max_length=32,
            description="GPU products that may be used, as the node label `nvidia.com/gpu.product` says, for example "
            "`NVIDIA-H100-80GB-HBM3`; empty: any.",
        ),
        ListType("set"),
    ] = []
    tensor_parallel_size: Annotated[
        int | None, Field(ge=1, le=64, description="Tensor parallel size to use; left out: the operator chooses.")
    ] = None
    pipeline_parallel_size: Annotated[
        int | None, Field(ge=1, le=64, description="Pipeline parallel size to use; left out: the operator chooses.")
    ] = None
    max_per_replica: Annotated[
        int | None, Field(ge=1, le=1024, description="Most GPUs one replica may take; left out: no limit.")
    ] = None
    # A rule instead of bounds: of bounds that are no whole numbers the API server's own message shows the whole part only.
    memory_utilization: Annotated[
        Annotated[
            float,
            Rule(
                cel=f"self >= {LEAST_UTILIZATION} && self <= {MOST_UTILIZATION}",
                message=f"must be between {LEAST_UTILIZATION} and {MOST_UTILIZATION}",
                holds=lambda share: LEAST_UTILIZATION <= share <= MOST_UTILIZATION,
            ),
        ]
        | None,
        Field(
            description="Share of each GPU's memory vLLM may use (`--gpu-memory-utilization`), "
            f"{LEAST_UTILIZATION} to {MOST_UTILIZATION}; left out: the default of the vLLM version.",
        ),
    ] = None


class OffloadSpec(ApiModel):
    """What may live in host memory."""

    cpu_per_gpu: Annotated[
        Quantity,
        Field(
            serialization_alias="cpuPerGPU",
            validation_alias="cpuPerGPU",
            description="Host memory per GPU that holds weights, for example `16Gi`; slower: read over PCIe at every step.",
        ),
    ] = "0"


class SecretKeyRef(ApiModel):
    """A key of a Secret in the resource's namespace."""

    name: Annotated[ObjectName, Field(description="Name of the Secret.")]
    key: Annotated[SecretKey, Field(description="Key in the Secret.")] = "token"


class HuggingFaceSpec(ApiModel):
    """How to reach the Hugging Face Hub."""

    token_secret_ref: Annotated[
        SecretKeyRef | None,
        Field(description="Secret with a Hub token, for gated models; in the namespace of the resource."),
    ] = None


def _tokens(spec: "ModelServingSpec") -> int:
    return spec.concurrency * (spec.context_length or 1)


class ModelServingSpec(ApiModel):
    """What to serve, and within which limits. Only `model` is required; everything chosen shows in status."""

    rules = (
        Rule(
            cel=f"!has(self.contextLength) || self.concurrency * self.contextLength <= {MOST_TOKENS}",
            message=f"concurrency x contextLength is at most {MOST_TOKENS:,} tokens: lower one of them",
            holds=lambda spec: _tokens(spec) <= MOST_TOKENS,
            field="concurrency",
        ),
    )

    model: Annotated[
        ModelName,
        Field(description="Hub id of the model, `owner/name`; or `pvc://claim/path`, weights on an existing volume."),
    ]
    revision: Annotated[
        Revision, Field(description="Branch, tag or commit; resolved to a commit and pinned in the plan.")
    ] = "main"
    precision: Annotated[
        Precision,
        Field(
            strict=False,
            description="Precision of the weights. `auto` serves the checkpoint as stored; `fp8` quantizes while loading, where "
            "the GPU can; `int8` and `int4` need a checkpoint in `variants`.",
        ),
    ] = Precision.AUTO
    variants: Annotated[
        list[Variant],
        Field(
            max_length=16,
            description="Other published checkpoints of the same model, one for each precision; never searched for.",
        ),
        ListType("map", "precision"),
    ] = []
    context_length: Annotated[
        int | None,
        Field(
            ge=1,
            le=LONGEST_CONTEXT,
            description="Tokens one request may use, prompt and answer together; left out: the model's own maximum.",
        ),
    ] = None
    concurrency: Annotated[
        int, Field(ge=1, le=4096, description="Requests of full length whose KV cache must fit at once.")
    ] = 1
    kv_cache_precision: Annotated[
        KvCachePrecision,
        Field(strict=False, description="Precision of the KV cache; `auto`: that of the model."),
    ] = KvCachePrecision.AUTO
    fallbacks: Annotated[
        list[Annotated[Fallback, Field(strict=False)]],
        Field(
            max_length=len(Fallback),
            description="What may be given up to make the model fit, in this order; nothing else is, and a later one only where no "
            "combination of earlier ones does. `fp8`, `int8`, `int4`: precision of the weights; `fp8KvCache`: of the KV cache; "
            "`cpuOffload`: weights in host memory, as few as do; `shorterContext`: as long as fits; `smallerBatches`: fewer tokens "
            "and requests in a step, for throughput; `eager`: no CUDA graphs, for latency.",
        ),
        Rule(
            cel="self.all(one, self.exists_one(other, other == one))",
            message="the same fallback twice: write each once, in the order they may be taken",
            holds=lambda fallbacks: len(set(fallbacks)) == len(fallbacks),
        ),
    ] = []
    replicas: Annotated[
        int, Field(ge=0, le=1000, description="Copies of the model; each takes GPUs of its own. 0 stops it.")
    ] = 1
    gpu: Annotated[GpuSpec, Field(description="Which GPUs may be used, and how.")] = GpuSpec()
    offload: Annotated[OffloadSpec, Field(description="What may live in host memory.")] = OffloadSpec()
    engine: Annotated[EngineSpec, Field(description="The vLLM that serves.")] = EngineSpec()
    hugging_face: Annotated[HuggingFaceSpec, Field(description="How to reach the Hugging Face Hub.")] = (
        HuggingFaceSpec()
    )
    cache: Annotated[
        CacheSpec,
        Field(description="Where weights are kept; at most one. Left out: a folder that lives as long as the pod."),
    ] = CacheSpec()
    pod: Annotated[PodSpec, Field(description="What of the pod may be set; the rest is the operator's.")] = PodSpec()
    replan: Annotated[
        Replan,
        Field(
            strict=False,
            description="When a new plan may replace the one in force although the spec did not change. Never: it stays. "
            "WhenUnschedulable: when pods have found no node for as long as the operator's setting replanAfterSeconds says. Always: "
            "whenever the cluster allows a plan that is preferred, or pods find no node. Either way only by a plan whose replicas can "
            "all start at once, in a rollout that replaces the pods that run.",
        ),
    ] = Replan.NEVER
    plan_only: Annotated[bool, Field(description="Plan and explain, but run nothing; what runs is stopped.")] = False


class ObjectMeta(ApiModel, extra="ignore"):
    """What the operator reads of metadata."""

    name: ObjectName
    namespace: ObjectName = "default"
    uid: str = ""
    generation: int = 0


class ModelServing(ApiModel):
    """A model to serve: `modelservings.modelserving.dev`. Its status is not read: it never decides anything."""

    api_version: Literal["modelserving.dev/v1alpha1"] = "modelserving.dev/v1alpha1"
    kind: Literal["ModelServing"] = "ModelServing"
    metadata: ObjectMeta
    spec: ModelServingSpec

    @model_validator(mode="before")
    @classmethod
    def _leave_out_status(cls, data: Any) -> Any:
        return {name: value for name, value in data.items() if name != "status"} if isinstance(data, dict) else data
