"""What is asked of planning, freed of Kubernetes: every field typed, defaults resolved."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from modelserving.api.modelserving import Fallback, ModelServingSpec, Precision
from modelserving.engine.versions import DEFAULT_ENGINE_VERSION
from modelserving.models.metadata import CheckpointRef
from modelserving.planning.pod_needs import NOTHING_STATED, PodAsked, pod_asked
from modelserving.units import parse_whole


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that may be served, and the precision the user says it is stored in.

    Attributes:
        ref: which.
        precision: `auto` for the model itself.
    """

    ref: CheckpointRef
    precision: Precision = Precision.AUTO


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is asked for.

    Attributes:
        key: `namespace/name` of the resource, to know its own pods by.
        checkpoints: the model first, then its variants.
        precision: as asked.
        context_length: tokens of a request; None means the model's maximum.
        concurrency: requests of full length at once.
        kv_cache_dtype: as `--kv-cache-dtype` names it.
        gpu_products: products allowed; empty means any.
        fallbacks: what may be given up to make the model fit, in this order.
        cpu_offload_bytes: host memory per GPU for weights.
        engine_version: vLLM version to plan for.
        engine_version_is_default: whether the operator chose it; a new default then does not touch what runs.
        node_selector: labels nodes must have.
        tolerations: taints that are borne, as pod fragments.
        affinity: affinity fragment of the pod.
        pod: what its pods ask for beside GPUs.
    """

    key: str
    checkpoints: tuple[Checkpoint, ...]
    precision: Precision = Precision.AUTO
    context_length: int | None = None
    concurrency: int = 1
    kv_cache_dtype: str = "auto"
    replicas: int = 1
    gpu_products: tuple[str, ...] = ()
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    max_gpus_per_replica: int | None = None
    gpu_memory_utilization: float | None = None
    fallbacks: tuple[Fallback, ...] = ()
    cpu_offload_bytes: int = 0
    engine_version: str = DEFAULT_ENGINE_VERSION
    engine_version_is_default: bool = False
    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[dict[str, Any], ...] = ()
    affinity: dict[str, Any] | None = None
    pod: PodAsked = NOTHING_STATED

    @property
    def namespace(self) -> str:
        """Namespace of the resource."""
        return self.key.partition("/")[0]

    def digest(self) -> str:
        """Digest of all that is asked: two requests with the same digest are served by the same plan.

        Replicas and key are left out, since scaling does not make a new plan, and so is what pods ask for beside GPUs, and a version that
        the operator chose, since its upgrade must not restart every model. Nor must a field that this version of the operator is the first
        to have.
        """
        fields = dataclasses.asdict(self)
        left_out = ["key", "replicas", "pod"]
        left_out += ["engine_version"] if self.engine_version_is_default else []
        left_out += [] if self.fallbacks else ["fallbacks"]
        for name in left_out:
            fields.pop(name)
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def request_from(key: str, spec: ModelServingSpec, default_engine_version: str = DEFAULT_ENGINE_VERSION) -> PlanRequest:
    """Read what planning needs from a spec that was validated."""
    variants = tuple(
        Checkpoint(CheckpointRef(variant.model, variant.revision), variant.precision) for variant in spec.variants
    )
    return PlanRequest(
        key=key,
        checkpoints=(Checkpoint(CheckpointRef(spec.model, spec.revision)), *variants),
        precision=spec.precision,
        context_length=spec.context_length,
        concurrency=spec.concurrency,
        kv_cache_dtype=spec.kv_cache_precision.value,
        replicas=spec.replicas,
        gpu_products=tuple(spec.gpu.products),
        tensor_parallel_size=spec.gpu.tensor_parallel_size,
        pipeline_parallel_size=spec.gpu.pipeline_parallel_size,
        max_gpus_per_replica=spec.gpu.max_per_replica,
        gpu_memory_utilization=spec.gpu.memory_utilization,
        fallbacks=tuple(spec.fallbacks),
        cpu_offload_bytes=parse_whole(spec.offload.cpu_per_gpu),
        engine_version=(spec.engine.version or default_engine_version).removeprefix("v"),
        engine_version_is_default=spec.engine.version is None,
        node_selector=tuple(sorted(spec.pod.node_selector.items())),
        tolerations=tuple(spec.pod.tolerations),
        affinity=spec.pod.affinity,
        pod=pod_asked(spec.pod, spec.cache),
    )
