"""One resource -> the comparison of all methods for it, and what that means for the exit code."""

from dataclasses import dataclass, replace

from modelserving.api.choices import Precision
from modelserving.api.modelserving import ModelServingSpec
from modelserving.api.reasons import Reason
from modelserving.cli.exits import Exit
from modelserving.cli.lookup import Lookup
from modelserving.cli.resources import Resource
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata
from modelserving.models.reader import read_facts
from modelserving.planning.comparison import Comparison, compare
from modelserving.planning.plan import Rejection
from modelserving.planning.request import PlanRequest, request_from
from modelserving.render.names import owner_label
from modelserving.settings import Settings

# Models on a volume, which are not read yet.
_VOLUME = "pvc://"


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of one resource.

    Attributes:
        name: of the resource; empty where only a model was named.
        model: as asked.
        result: the comparison, or why there is none.
        exit: what it means for the exit code.
    """

    name: str
    model: str
    result: Comparison | Rejection
    exit: Exit


def refs_of(resource: Resource) -> tuple[CheckpointRef, ...]:
    """Name the checkpoints whose metadata `compare_resource` looks up."""
    spec = resource.serving.spec
    named = [(spec.model, spec.revision), *((variant.model, variant.revision) for variant in spec.variants)]
    return () if _on_a_volume(spec) else tuple(CheckpointRef(*pair) for pair in named)


def compare_resource(
    resource: Resource, snapshot: ClusterSnapshot, lookup: Lookup, settings: Settings, name: str
) -> Compared:
    """Compare all methods for one resource."""
    spec = resource.serving.spec
    if _on_a_volume(spec):
        refused = Rejection(
            Reason.NOT_YET_SUPPORTED.value,
            f"spec.model and spec.variants: models on a volume ({_VOLUME}…) are not read yet; use a Hub id",
        )
        return Compared(name, spec.model, refused, Exit.REJECTED)
    request = _request(resource, settings)
    metadata = {checkpoint.ref: lookup(checkpoint.ref) for checkpoint in request.checkpoints}
    known = {ref: read_facts(found) if isinstance(found, ModelMetadata) else found for ref, found in metadata.items()}
    result = compare(request, known, snapshot)
    if isinstance(result, Comparison):
        result = replace(result, notes=(*result.notes, *_not_regarded(spec)))
        return Compared(name, spec.model, result, Exit.PLANNED if result.works else Exit.REJECTED)
    no_facts = isinstance(known[request.checkpoints[0].ref], MetadataFailure)
    return Compared(name, spec.model, result, Exit.NO_FACTS if no_facts else Exit.REJECTED)


def _request(resource: Resource, settings: Settings) -> PlanRequest:
    metadata, spec = resource.serving.metadata, resource.serving.spec
    return request_from(f"{metadata.namespace}/{owner_label(metadata.name)}", spec, settings.engine_version)


def _on_a_volume(spec: ModelServingSpec) -> bool:
    return any(model.startswith(_VOLUME) for model in (spec.model, *(variant.model for variant in spec.variants)))


def _not_regarded(spec: ModelServingSpec) -> tuple[str, ...]:
    """Name the fields that choose one method where all are looked at."""
    fields = {
        "spec.precision": spec.precision is not Precision.AUTO,
        "spec.fallbacks": bool(spec.fallbacks),
        "spec.gpu.tensorParallelSize": spec.gpu.tensor_parallel_size is not None,
        "spec.gpu.pipelineParallelSize": spec.gpu.pipeline_parallel_size is not None,
        "spec.offload.cpuPerGPU": spec.offload.cpu_per_gpu != "0",
        "spec.engine.extraArgs": bool(spec.engine.extra_args),
    }
    named = [name for name, is_set in fields.items() if is_set]
    return (f"Not regarded, since all methods are looked at: {', '.join(named)}.",) if named else ()
