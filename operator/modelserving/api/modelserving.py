"""The ModelServing resource: what a user writes. The CRD is generated from these models."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from modelserving.api.base import ApiModel, Quantity

GROUP = "modelserving.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelServing"
PLURAL = "modelservings"
SHORT_NAME = "msv"

# Hub ids are owner/name, each of letters, digits, dot, dash, underscore; 96 characters a part at most (huggingface_hub, validate_repo_id).
MODEL_PATTERN = r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$|^pvc://[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(/[A-Za-z0-9._-]{1,255}){0,16}$"
# Ten million tokens: the longest context any published model states (Llama 4 Scout).
LONGEST_CONTEXT = 10_485_760


class Precision(StrEnum):
    """Precision of the weights."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"


class KvCachePrecision(StrEnum):
    """Precision of the KV cache."""

    AUTO = "auto"
    FP8 = "fp8"
    FP8_E4M3 = "fp8_e4m3"
    FP8_E5M2 = "fp8_e5m2"
    BF16 = "bfloat16"
    FP16 = "float16"


class Fallback(StrEnum):
    """One thing the operator may give up to make a model fit."""

    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"
    FP8_KV_CACHE = "fp8KvCache"
    CPU_OFFLOAD = "cpuOffload"
    SHORTER_CONTEXT = "shorterContext"


class Replan(StrEnum):
    """When a new plan may replace the one in force although the spec did not change."""

    NEVER = "Never"
    WHEN_UNSCHEDULABLE = "WhenUnschedulable"
    ALWAYS = "Always"


ModelName = Annotated[str, Field(min_length=1, max_length=512, pattern=MODEL_PATTERN)]
Revision = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]


class Variant(ApiModel):
    """Another published checkpoint of the same model."""

    precision: Annotated[Precision, Field(description="Precision this checkpoint is stored in.")]
    model: Annotated[
        ModelName, Field(description="Hub id of the checkpoint, for example `Qwen/Qwen2-72B-Instruct-AWQ`.")
    ]
    revision: Annotated[Revision, Field(description="Branch, tag or commit of that checkpoint.")] = "main"


class GpuSpec(ApiModel):
    """Which GPUs may be used, and how."""

    products: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(
            max_length=32,
            description="GPU products that may be used, as the node label `nvidia.com/gpu.product` says; empty: any.",
        ),
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
    memory_utilization: Annotated[
        float | None,
        Field(
            ge=0.1,
            le=0.99,
            description="Share of each GPU's memory vLLM may use; left out: the default of the vLLM version.",
        ),
    ] = None


class OffloadSpec(ApiModel):
    """What may live in host memory."""

    cpu_per_gpu: Annotated[
        Quantity,
        Field(
            serialization_alias="cpuPerGPU",
            validation_alias="cpuPerGPU",
            description="Host memory per GPU to hold weights in, for example `16Gi`; slower, read over PCIe at every step.",
        ),
    ] = "0"


class EnvVar(ApiModel):
    """An environment variable of the engine's container."""

    name: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
    value: Annotated[str | None, Field(max_length=8192, description="Its value.")] = None
    value_from: Annotated[dict[str, Any] | None, Field(description="Where its value comes from, as in a pod.")] = None


class EngineSpec(ApiModel):
    """The vLLM that serves."""

    image: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=512,
            description="Container image; left out: the operator's default for the version.",
        ),
    ] = None
    version: Annotated[
        str | None,
        Field(
            max_length=32,
            pattern=r"^v?[0-9]+\.[0-9]+(\.[0-9]+)?$",
            description="vLLM version in the image; left out: the operator's default. Sizing and flags follow it.",
        ),
    ] = None
    extra_args: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=4096)]],
        Field(
            max_length=128,
            description="Further arguments of `vllm serve`. Flags the operator sets itself are refused, with the field to use instead.",
        ),
    ] = []
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=128,
            description="Further environment variables of the engine.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []


class SecretKeyRef(ApiModel):
    """A key of a Secret in the resource's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253, description="Name of the Secret.")]
    key: Annotated[str, Field(min_length=1, max_length=253, description="Key in the Secret.")] = "token"


class HuggingFaceSpec(ApiModel):
    """How to reach the Hugging Face Hub."""

    token_secret_ref: Annotated[SecretKeyRef | None, Field(description="Token for gated models.")] = None


class EmptyDirCache(ApiModel):
    """A folder on the node that lives as long as the pod."""

    size_limit: Annotated[Quantity | None, Field(description="Most it may hold; left out: twice the checkpoint.")] = (
        None
    )


class ClaimCache(ApiModel):
    """An existing PersistentVolumeClaim."""

    claim_name: Annotated[str, Field(min_length=1, max_length=253, description="Name of the claim.")]


class HostPathCache(ApiModel):
    """A folder of the node."""

    path: Annotated[str, Field(min_length=2, max_length=4096, pattern=r"^/[^\x00]*$", description="Absolute path.")]


class CacheSpec(ApiModel):
    """Where weights are kept; at most one."""

    empty_dir: Annotated[
        EmptyDirCache | None, Field(description="A folder on the node that lives as long as the pod.")
    ] = None
    persistent_volume_claim: Annotated[
        ClaimCache | None, Field(description="An existing claim in the resource's namespace.")
    ] = None
    host_path: Annotated[
        HostPathCache | None,
        Field(
            description="A folder of the node, shared by all pods on it; only where the operator's settings allow it."
        ),
    ] = None


PodFragment = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]


class PodSpec(ApiModel):
    """What of the pod a user may set; the rest is the operator's."""

    node_selector: Annotated[dict[str, str], Field(max_length=64, description="Node labels the pods need.")] = {}
    tolerations: Annotated[
        list[PodFragment], Field(max_length=64, description="Taints the pods bear, as in a pod.")
    ] = []
    affinity: Annotated[PodFragment | None, Field(description="Affinity, as in a pod.")] = None
    labels: Annotated[dict[str, str], Field(max_length=64, description="Further labels of the pods.")] = {}
    annotations: Annotated[dict[str, str], Field(max_length=64, description="Further annotations of the pods.")] = {}
    priority_class_name: Annotated[str | None, Field(max_length=253, description="Priority class of the pods.")] = None
    service_account_name: Annotated[
        str | None, Field(max_length=253, description="ServiceAccount the pods run as.")
    ] = None
    image_pull_secrets: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]],
        Field(max_length=16, description="Names of Secrets to pull the image with."),
    ] = []
    resources: Annotated[
        PodFragment | None,
        Field(description="CPU, memory and ephemeral storage of the container; GPUs are the operator's."),
    ] = None
    volumes: Annotated[list[PodFragment], Field(max_length=32, description="Further volumes, as in a pod.")] = []
    volume_mounts: Annotated[
        list[PodFragment], Field(max_length=32, description="Where they are mounted in the engine's container.")
    ] = []


class ModelServingSpec(ApiModel):
    """What to serve, and within which limits. Only `model` is required; everything chosen shows in status."""

    model: Annotated[ModelName, Field(description="Hub id of the model (`owner/name`), or `pvc://claim/path`.")]
    revision: Annotated[
        Revision, Field(description="Branch, tag or commit; resolved to a commit and pinned in the plan.")
    ] = "main"
    precision: Annotated[
        Precision,
        Field(
            description="Precision of the weights. `auto` serves the checkpoint as stored; `fp8` quantizes while loading; `int8` and `int4` need a checkpoint in `variants`."
        ),
    ] = Precision.AUTO
    variants: Annotated[
        list[Variant], Field(max_length=16, description="Other published checkpoints of the same model.")
    ] = []
    context_length: Annotated[
        int | None,
        Field(
            ge=1,
            le=LONGEST_CONTEXT,
            description="Tokens one request may use, prompt and answer; left out: the model's own maximum.",
        ),
    ] = None
    concurrency: Annotated[
        int, Field(ge=1, le=4096, description="Requests of full length whose KV cache must fit at once.")
    ] = 1
    kv_cache_precision: Annotated[
        KvCachePrecision, Field(description="Precision of the KV cache; `auto`: as the model.")
    ] = KvCachePrecision.AUTO
    fallbacks: Annotated[
        list[Fallback],
        Field(
            max_length=6,
            description="What may be given up to make the model fit, in this order. Nothing is given up silently.",
        ),
    ] = []
    replicas: Annotated[int, Field(ge=0, le=1000, description="Copies of the model; each takes GPUs of its own.")] = 1
    gpu: Annotated[GpuSpec, Field(description="Which GPUs may be used, and how.")] = GpuSpec()
    offload: Annotated[OffloadSpec, Field(description="What may live in host memory.")] = OffloadSpec()
    engine: Annotated[EngineSpec, Field(description="The vLLM that serves.")] = EngineSpec()
    hugging_face: Annotated[HuggingFaceSpec, Field(description="How to reach the Hugging Face Hub.")] = (
        HuggingFaceSpec()
    )
    cache: Annotated[
        CacheSpec, Field(description="Where weights are kept; left out: a folder that lives as long as the pod.")
    ] = CacheSpec()
    pod: Annotated[PodSpec, Field(description="What of the pod may be set.")] = PodSpec()
    replan: Annotated[
        Replan, Field(description="When a new plan may replace the one in force although the spec did not change.")
    ] = Replan.NEVER
    plan_only: Annotated[bool, Field(description="Plan and explain, but run nothing.")] = False


class ObjectMeta(ApiModel, extra="ignore"):
    """What the operator reads of metadata."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0


class ModelServing(ApiModel, extra="ignore"):
    """A model to serve: `modelservings.modelserving.dev`."""

    api_version: Literal["modelserving.dev/v1alpha1"] = "modelserving.dev/v1alpha1"
    kind: Literal["ModelServing"] = "ModelServing"
    metadata: ObjectMeta
    spec: ModelServingSpec
