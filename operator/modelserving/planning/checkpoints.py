"""Which checkpoints could serve what is asked, and how: as stored, converted, quantized while loading."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelserving.api.modelserving import Precision
from modelserving.api.reasons import Reason
from modelserving.engine.config import EngineRefusal
from modelserving.engine.defaults import resolve_dtype
from modelserving.engine.device import Gpu
from modelserving.engine.quantization import on_the_fly_method
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure
from modelserving.planning.ladder import precisions
from modelserving.planning.plan import Rejection
from modelserving.planning.request import PlanRequest

# dtype names of `--dtype` by precision of the API.
_DTYPES = {Precision.FP32: "float32", Precision.FP16: "float16", Precision.BF16: "bfloat16"}
# Precisions only a stored checkpoint can have: vLLM quantizes nothing dense to them while loading.
_STORED_ONLY = (Precision.INT8, Precision.INT4)


@dataclass(frozen=True, slots=True)
class Method:
    """One way to serve one checkpoint.

    Attributes:
        facts: of the checkpoint.
        dtype: what `resolve_dtype` is asked for: `auto` or a dtype.
        on_the_fly: precision to quantize to while loading; None where the checkpoint is served as stored or cast.
        precision: name of the precision in the API's words.
    """

    facts: ModelFacts
    dtype: str
    on_the_fly: str | None
    precision: str

    def resolve(self, gpu: Gpu, version: EngineVersion) -> tuple[str, str | None] | EngineRefusal:
        """Resolve to (`--dtype`, `--quantization` or None) on one GPU."""
        dtype = resolve_dtype(self.facts, self.dtype, gpu)
        if isinstance(dtype, EngineRefusal) or self.on_the_fly is None:
            return dtype if isinstance(dtype, EngineRefusal) else (dtype, None)
        quantization = on_the_fly_method(self.on_the_fly, gpu, version)
        return quantization if isinstance(quantization, EngineRefusal) else (dtype, quantization)


def wanted(request: PlanRequest) -> tuple[CheckpointRef, ...]:
    """Name the checkpoints whose facts a plan needs: the model, and the variants of a precision that it may come to."""
    model, *variants = request.checkpoints
    allowed = (request.precision, *precisions(request.fallbacks))
    return (model.ref, *(variant.ref for variant in variants if variant.precision in allowed))


def methods(
    request: PlanRequest,
    facts: Mapping[CheckpointRef, ModelFacts | FactsRefusal | MetadataFailure],
    precision: Precision,
) -> tuple[Method, ...] | Rejection:
    """List the ways to serve the model in one precision, best first, or say why there is none."""
    found: list[Method] = []
    failures: list[FactsRefusal | MetadataFailure] = []
    unfit: list[str] = []
    for number, checkpoint in enumerate(request.checkpoints):
        if number and checkpoint.precision is not precision:
            continue
        known = facts.get(checkpoint.ref)
        if not isinstance(known, ModelFacts):
            failures += [known] if known is not None else []
            continue
        method = _method(precision, known, is_variant=number > 0)
        found += [method] if isinstance(method, Method) else []
        unfit += [method] if isinstance(method, str) else []
    if found:
        # A stored checkpoint of the precision asked for before one that is quantized at every start.
        return tuple(sorted(found, key=lambda method: method.on_the_fly is not None))
    if failures:
        return Rejection(failures[0].reason, failures[0].message)
    return _no_method(request, precision, unfit)


def _method(asked: Precision, facts: ModelFacts, is_variant: bool) -> Method | str:
    stored = facts.stored_precision
    if asked is Precision.AUTO:
        return Method(facts, "auto", None, stored)
    if stored == asked:
        return Method(facts, _DTYPES.get(asked, "auto"), None, stored)
    if is_variant:
        return f"{facts.model} is listed in spec.variants as {asked}, but it is stored as {stored}"
    if facts.stored_quantization is not None:
        return f"{facts.model} is stored as {stored} ({facts.stored_quantization.method}), which vLLM does not turn into {asked}"
    if asked in _DTYPES:
        return Method(facts, _DTYPES[asked], None, asked.value)
    if asked in _STORED_ONLY:
        return f"{facts.model} is stored as {stored}, and vLLM does not quantize it to {asked} while loading"
    return Method(facts, "auto", asked.value, asked.value)


def _no_method(request: PlanRequest, asked: Precision, unfit: Iterable[str]) -> Rejection:
    example = request.checkpoints[0].ref.model
    suffix = "-AWQ" if asked is Precision.INT4 else "-GPTQ-Int8" if asked is Precision.INT8 else "-FP8"
    return Rejection(
        Reason.VARIANT_NEEDED.value,
        f"{'; '.join(unfit)}. Name a checkpoint that is published in {asked}, for example "
        f"spec.variants: [{{precision: {asked}, model: {example}{suffix}}}], or leave spec.precision at auto.",
    )
