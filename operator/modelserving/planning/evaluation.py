"""One candidate, checked: would vLLM start with it, and does the memory suffice."""

from dataclasses import dataclass, replace

from modelserving.api.reasons import Reason
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.defaults import batch_defaults, default_gpu_memory_utilization
from modelserving.engine.rules import refusal
from modelserving.engine.versions import EngineVersion
from modelserving.planning.candidates import Candidate
from modelserving.planning.plan import Rejected
from modelserving.planning.request import PlanRequest
from modelserving.sizing.budget import MemoryEstimate
from modelserving.sizing.memory import estimate
from modelserving.units import format_gib

# What a GPU without bfloat16 makes of a bf16 checkpoint is float16: the plan says what is served, not what is stored.
PRECISION_OF_DTYPE = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A candidate that vLLM would start with and that fits.

    Attributes:
        precision: precision of the weights as served, in the API's words.
    """

    candidate: Candidate
    config: EngineConfig
    memory: MemoryEstimate
    precision: str

    @property
    def stored(self) -> bool:
        """Whether the weights are served as stored."""
        return self.config.quantization is None and self.precision == self.candidate.method.facts.stored_precision


def evaluate(request: PlanRequest, candidate: Candidate, version: EngineVersion) -> Evaluated | Rejected:
    """Check a candidate: engine rules first, then memory."""
    config = engine_config(request, candidate, version)
    if isinstance(config, EngineRefusal):
        return _rejected(candidate, config.reason, config.message)
    gpu, facts = candidate.shape.gpu, candidate.method.facts
    if refused := refusal(facts, config, gpu, version):
        return _rejected(candidate, refused.reason, refused.message)
    memory = estimate(facts, config, gpu, version, request.concurrency)
    if not memory.fits:
        message = _too_large(request, candidate, config, memory, version)
        return _rejected(candidate, Reason.NOTHING_FITS, message, memory.shortfall_bytes)
    if memory.host_memory_bytes > candidate.shape.host_memory_bytes:
        return _rejected(
            candidate,
            "InsufficientHostMemory",
            f"needs {format_gib(memory.host_memory_bytes)} of host memory, the largest such node has "
            f"{format_gib(candidate.shape.host_memory_bytes)}",
        )
    return Evaluated(candidate, config, memory, _served_precision(candidate, config))


def engine_config(request: PlanRequest, candidate: Candidate, version: EngineVersion) -> EngineConfig | EngineRefusal:
    """Resolve every size the engine is started with."""
    facts, gpu = candidate.method.facts, candidate.shape.gpu
    resolved = candidate.method.resolve(gpu, version)
    if isinstance(resolved, EngineRefusal):
        return resolved
    batched_tokens, sequences = batch_defaults(version, gpu)
    # What the user wants to serve at once must be allowed to run at once.
    sequences = max(sequences, request.concurrency)
    return EngineConfig(
        max_model_len=request.context_length or facts.max_model_len,
        max_num_seqs=sequences,
        max_num_batched_tokens=max(batched_tokens, sequences),
        gpu_memory_utilization=request.gpu_memory_utilization or default_gpu_memory_utilization(version),
        dtype=resolved[0],
        quantization=resolved[1],
        kv_cache_dtype=request.kv_cache_dtype,
        tensor_parallel_size=candidate.tensor_parallel_size,
        cpu_offload_bytes=request.cpu_offload_bytes,
    )


def _served_precision(candidate: Candidate, config: EngineConfig) -> str:
    method = candidate.method
    if method.on_the_fly is not None or method.facts.stored_quantization is not None:
        return method.precision
    return PRECISION_OF_DTYPE.get(config.dtype, config.dtype)


def _rejected(candidate: Candidate, reason: str, message: str, shortfall_bytes: int = 0) -> Rejected:
    return Rejected(candidate.label, str(reason), message, candidate.gpus, candidate.shape.gpu.product, shortfall_bytes)


def _too_large(
    request: PlanRequest, candidate: Candidate, config: EngineConfig, memory: MemoryEstimate, version: EngineVersion
) -> str:
    rank, budget = memory.tightest_rank, format_gib(memory.budget_bytes)
    if rank.weights.value > memory.budget_bytes:
        return f"{format_gib(rank.weights.value)} of weights on each GPU, {budget} to spend"
    # Said with its band, since the band is what decides: a sum that fits only at the best estimate may run out of memory.
    upper = memory.budget_bytes - rank.kv_cache_available_low
    if rank.kv_cache_available_low <= 0:
        return (
            f"{format_gib(rank.weights.value)} of weights leave no room for the KV cache on each GPU: "
            f"{format_gib(rank.without_kv_cache)} without it, which may reach {format_gib(upper)}; {budget} to spend"
        )
    kv_cache = max(memory.kv_cache.requested_bytes, memory.kv_cache.min_bytes_to_start)
    text = (
        f"short by {format_gib(memory.shortfall_bytes)} on each GPU: {format_gib(kv_cache)} of KV cache beside "
        f"{format_gib(rank.without_kv_cache)} of all else, which may reach {format_gib(upper)}; {budget} to spend"
    )
    length = longest_context(request, candidate, config, memory, version)
    return f"{text}; would fit with contextLength ≤ {length:,}" if length else text


def longest_context(
    request: PlanRequest, candidate: Candidate, config: EngineConfig, memory: MemoryEstimate, version: EngineVersion
) -> int:
    """Find a context length in whole blocks that would fit, 0 if none does.

    Exact where every layer keeps the whole context; where layers keep a window the true limit may lie above.
    """
    kv = memory.kv_cache
    blocks = memory.tightest_rank.kv_cache_available_low // kv.bytes_per_block - 1 if kv.bytes_per_block else 0
    length = blocks // request.concurrency * kv.block_size
    if not 0 < length < config.max_model_len:
        return 0
    shorter = replace(config, max_model_len=length)
    facts, gpu = candidate.method.facts, candidate.shape.gpu
    return length if estimate(facts, shorter, gpu, version, request.concurrency).fits else 0
