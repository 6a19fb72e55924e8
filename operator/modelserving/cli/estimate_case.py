"""One question to `modelserving estimate` -> vLLM's configuration -> the memory it takes, or why vLLM would not start."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelserving.cli.estimate_facts import FactsShelf
from modelserving.cli.estimate_gpu import find_gpu
from modelserving.engine.batching import BatchFlags, batch_sizes
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.defaults import default_gpu_memory_utilization, resolve_dtype
from modelserving.engine.device import Gpu
from modelserving.engine.missing_kernels import missing_kernel
from modelserving.engine.rules import refusal
from modelserving.engine.versions import DEFAULT_ENGINE_VERSION, EngineVersion, engine_version
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.fields import LARGEST_SIZE, Fields, InvalidFieldError
from modelserving.sizing.budget import MemoryEstimate
from modelserving.sizing.memory import estimate
from modelserving.sizing.versions import TURNS, widened
from modelserving.units import GIB

# `--max-model-len -1` lets vLLM shrink the model's own length until it fits.
_AUTO_LENGTH = -1
_LARGEST_OFFLOAD_GIB = 2**20
_LARGEST_MEMORY_BYTES = 2**50
_MODALITIES = 16
# Names that a case may carry beside engine arguments.
_CASE_NAMES = frozenset({"id", "model_config", "model", "gpu", "gpu_memory_total_bytes", "vllm_version", "engine_args"})
_READ = frozenset(
    {
        *(
            "tensor_parallel_size",
            "pipeline_parallel_size",
            "data_parallel_size",
            "enable_expert_parallel",
            "quantization",
            "dtype",
        ),
        *("kv_cache_dtype", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "gpu_memory_utilization"),
        *("enforce_eager", "block_size", "cpu_offload_gb", "limit_mm_per_prompt", "language_model_only"),
        *("mm_encoder_tp_mode", "enable_prefix_caching", "enable_chunked_prefill", "performance_mode"),
        "disable_hybrid_kv_cache_manager",
    }
)
# Of these at most so many are named to the user.
_MOST_IGNORED = 8
# What people call llm-compressor's schemes (README of vllm-project/llm-compressor); vLLM's own name for all is
# compressed-tensors, and the checkpoint says it itself.
_SCHEMES = frozenset({"w8a8", "w8a16", "w4a16", "fp8-dynamic", "w8a8-fp8", "w8a8-int8"})
_SCHEMES_METHOD = "compressed-tensors"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no estimate: vLLM would not start for any memory size, or facts are missing."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Estimated:
    """Memory of one configuration, and what it was estimated for.

    Attributes:
        assumptions: sentences on what was assumed for want of facts.
    """

    facts: ModelFacts
    config: EngineConfig
    gpu: Gpu
    version: EngineVersion
    memory: MemoryEstimate
    assumptions: tuple[str, ...]


def evaluate(case: Any, shelf: FactsShelf, concurrency: int = 1) -> Estimated | Refused:
    """Answer a case: total, whatever it holds.

    Args:
        case: an object with vLLM's flag names in snake case.
        shelf: facts of models.
        concurrency: requests of max_model_len tokens whose KV cache must fit at once.
    """
    if not isinstance(case, Mapping):
        return Refused("CaseInvalid", "the case is no JSON object; write one object a line")
    try:
        fields = Fields(case)
        if fields.text("vllm_version"):
            return _evaluate(fields, fields.text("vllm_version"), shelf, concurrency)
        found = _evaluate(fields, DEFAULT_ENGINE_VERSION, shelf, concurrency)
        if isinstance(found, Refused):
            return found
        others = (_evaluate(fields, version, shelf, concurrency) for version in TURNS)
        return _over_versions(found, [other.memory for other in others if isinstance(other, Estimated)])
    except InvalidFieldError as error:
        return Refused("CaseInvalid", f"the case cannot be read: {error}")


def _over_versions(found: Estimated, others: list[MemoryEstimate]) -> Estimated:
    """The estimate of the default version, its bands as wide as those of all: no version was named."""
    sentence = f"no vLLM version was named: sized as {found.version.text}; the bands reach over all since {TURNS[0]}"
    return replace(found, memory=widened(found.memory, others), assumptions=(*found.assumptions, sentence))


def _evaluate(case: Fields, asked_version: str, shelf: FactsShelf, concurrency: int) -> Estimated | Refused:
    flags = _flags(case)
    version = engine_version(asked_version)
    total = case.raw("gpu_memory_total_bytes")
    memory_total = case.whole("gpu_memory_total_bytes", high=_LARGEST_MEMORY_BYTES) if total is not None else None
    facts = shelf.find(case.raw("model_config"), case.text("model") or None)
    if isinstance(facts, FactsRefusal):
        return _unknown(facts, version)
    found = find_gpu(case.text("gpu") or None, memory_total)
    if isinstance(found, str):
        return Refused("GpuUnknown", found)
    gpu, gpu_assumptions = found
    config = _config(facts, flags, gpu, version)
    if isinstance(config, EngineRefusal):
        return Refused(config.reason, config.message)
    if objection := refusal(facts, config, gpu, version):
        return Refused(objection.reason, objection.message)
    memory = estimate(facts, config, gpu, version, concurrency)
    missing = missing_kernel(facts, gpu)
    ends = (f"it is loaded, and then it ends: {missing.message}",) if missing is not None else ()
    assumptions = memory.assumptions + gpu_assumptions + _ignored(case) + ends
    return Estimated(facts, config, gpu, version, memory, assumptions)


def _unknown(refused: FactsRefusal, version: EngineVersion) -> Refused:
    """Why there are no facts: an architecture that vLLM has no class for is refused as vLLM refuses it."""
    if refused.architecture and not version.supports(refused.architecture):
        return Refused(
            "ArchitectureNotSupported",
            f"vLLM {version.text} has no model class {refused.architecture[:100]!r}. Name another model.",
        )
    return Refused(refused.reason, refused.message)


def _flags(case: Fields) -> Fields:
    """Flags of the case, wherever they stand; those of `engine_args` count where the case itself says nothing."""
    more = case.part("engine_args")
    merged = {name: more.raw(name) for name in more.names()} if more is not None else {}
    merged |= {name: case.raw(name) for name in case.names() if case.raw(name) is not None and name not in _CASE_NAMES}
    return Fields(merged)


def _ignored(case: Fields) -> tuple[str, ...]:
    more = case.part("engine_args")
    names = [name for name in (more.names() if more is not None else ()) if name not in _READ]
    return (f"not taken into account: {', '.join(names[:_MOST_IGNORED])}",) if names else ()


def _config(facts: ModelFacts, flags: Fields, gpu: Gpu, version: EngineVersion) -> EngineConfig | EngineRefusal:
    dtype = resolve_dtype(facts, flags.text("dtype", "auto"), gpu)
    if isinstance(dtype, EngineRefusal):
        return dtype
    length = flags.whole("max_model_len", facts.max_model_len, low=_AUTO_LENGTH)
    length = facts.max_model_len if length == _AUTO_LENGTH else length
    asked = BatchFlags(
        flags.optional_whole("max_num_batched_tokens"),
        flags.optional_whole("max_num_seqs"),
        flags.flag("enable_chunked_prefill") if flags.raw("enable_chunked_prefill") is not None else None,
        flags.text("performance_mode") == "throughput",
    )
    sizes = batch_sizes(facts, version, gpu, length, asked)
    if isinstance(sizes, EngineRefusal):
        return sizes
    tokens, sequences = sizes
    config = EngineConfig(
        max_model_len=length,
        max_num_seqs=sequences,
        max_num_batched_tokens=tokens,
        gpu_memory_utilization=flags.number("gpu_memory_utilization", default_gpu_memory_utilization(version), 0, 1),
        dtype=dtype,
        tensor_parallel_size=flags.whole("tensor_parallel_size", 1, high=1024),
        pipeline_parallel_size=flags.whole("pipeline_parallel_size", 1, high=1024),
        data_parallel_size=flags.whole("data_parallel_size", 1, high=1024),
        enable_expert_parallel=flags.flag("enable_expert_parallel"),
        # What follows the method is a remark.
        quantization=_quantization(facts, flags),
        kv_cache_dtype=flags.text("kv_cache_dtype") or "auto",
        enforce_eager=flags.flag("enforce_eager"),
        cpu_offload_bytes=int(flags.number("cpu_offload_gb", 0, 0, _LARGEST_OFFLOAD_GIB) * GIB),
        block_size=flags.optional_whole("block_size"),
    )
    return replace(
        config,
        limit_mm_per_prompt=_limits(facts, flags),
        mm_encoder_tp_mode=flags.text("mm_encoder_tp_mode", "weights"),
        enable_prefix_caching=(
            flags.flag("enable_prefix_caching") if flags.raw("enable_prefix_caching") is not None else None
        ),
        disable_hybrid_kv_cache_manager=flags.flag("disable_hybrid_kv_cache_manager"),
    )


def _quantization(facts: ModelFacts, flags: Fields) -> str | None:
    asked = next(iter(flags.text("quantization").split()), None)
    stored = facts.stored_quantization
    if asked is not None and asked.lower() in _SCHEMES and stored is not None and stored.method == _SCHEMES_METHOD:
        return None
    return asked


def _limits(facts: ModelFacts, flags: Fields) -> tuple[tuple[str, int], ...]:
    if flags.flag("language_model_only") and facts.vision is not None:
        return tuple((modality, 0) for modality in facts.vision.modalities)
    limits = flags.part("limit_mm_per_prompt")
    if limits is None:
        return ()
    names = limits.names()[:_MODALITIES]
    return tuple((name, limits.whole(name, low=0, high=LARGEST_SIZE)) for name in names if limits.raw(name) is not None)
