"""One candidate, checked: would vLLM start with it, and does the memory suffice."""

from dataclasses import dataclass

from modelserving.api.choices import Fallback
from modelserving.api.reasons import Reason
from modelserving.engine.batching import BatchFlags, batch_sizes
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.defaults import batch_defaults, default_gpu_memory_utilization
from modelserving.engine.missing_kernels import missing_kernel
from modelserving.engine.rules import refusal
from modelserving.engine.versions import EngineVersion
from modelserving.planning.candidates import Candidate
from modelserving.planning.context import longest_context
from modelserving.planning.degrees import NOTHING, Degrees, context_length, context_steps, offload_bytes, smaller
from modelserving.planning.plan import Rejected
from modelserving.planning.request import PlanRequest
from modelserving.planning.shortage import too_large
from modelserving.sizing.budget import MemoryEstimate
from modelserving.sizing.lower_bound import least_bytes
from modelserving.sizing.memory import budget_bytes, estimate
from modelserving.units import ceil_div, format_gib

# What a GPU without bfloat16 makes of a bf16 checkpoint is float16: the plan says what is served, not what is stored.
PRECISION_OF_DTYPE = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
INSUFFICIENT_HOST_MEMORY = "InsufficientHostMemory"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A candidate that vLLM would start with and that fits.

    Attributes:
        precision: precision of the weights as served, in the API's words.
        degrees: how much is given up of what is given up by degrees.
    """

    candidate: Candidate
    config: EngineConfig
    memory: MemoryEstimate
    precision: str
    degrees: Degrees = NOTHING

    @property
    def stored(self) -> bool:
        """Whether the weights are served as stored."""
        return self.config.quantization is None and self.precision == self.candidate.method.facts.stored_precision

    @property
    def host_memory_bytes(self) -> int:
        """Host memory that a replica needs on each of its nodes."""
        return host_memory_per_node(self.candidate, self.memory)


def host_memory_per_node(candidate: Candidate, memory: MemoryEstimate) -> int:
    """Host memory that a replica needs on each of its nodes."""
    return ceil_div(memory.host_memory_bytes, candidate.layout.nodes)


def evaluate(
    request: PlanRequest, candidate: Candidate, version: EngineVersion, degrees: Degrees = NOTHING
) -> Evaluated | Rejected:
    """Check a candidate: engine rules first, then memory."""
    config = engine_config(request, candidate, version, degrees)
    if isinstance(config, EngineRefusal):
        return _rejected(candidate, config.reason, config.message)
    gpu, facts = candidate.shape.gpu, candidate.method.facts
    if refused := missing_kernel(facts, gpu) or refusal(facts, config, gpu, version):
        return _rejected(candidate, refused.reason, refused.message)
    memory = estimate(facts, config, gpu, version, request.concurrency)
    if not memory.fits:
        length = longest_context(facts, config, gpu, version, request.concurrency, memory)
        message = too_large(config, memory) + (f"; would fit with contextLength ≤ {length:,}" if length else "")
        return _rejected(candidate, Reason.NOTHING_FITS, message, memory.shortfall_bytes)
    needed = host_memory_per_node(candidate, memory)
    if needed > candidate.shape.host_memory_bytes:
        return _rejected(
            candidate,
            INSUFFICIENT_HOST_MEMORY,
            f"needs {format_gib(needed)} of host memory, the largest such node has "
            f"{format_gib(candidate.shape.host_memory_bytes)}",
        )
    return Evaluated(candidate, config, memory, _served_precision(candidate, config), degrees)


def fewest_gpus(request: PlanRequest, candidate: Candidate, version: EngineVersion) -> int:
    """GPUs that a candidate's method takes at the least on its shape, however it is spread; 1 where nothing is known of that."""
    facts, gpu, rung = candidate.method.facts, candidate.shape.gpu, candidate.rung
    shortest = context_steps(request, facts) if Fallback.SHORTER_CONTEXT in rung else 0
    config = engine_config(request, candidate, version, Degrees(int(Fallback.CPU_OFFLOAD in rung), shortest))
    if isinstance(config, EngineRefusal):
        return 1
    return ceil_div(least_bytes(facts, config, gpu, version, request.concurrency), budget_bytes(gpu, config))


def engine_config(
    request: PlanRequest, candidate: Candidate, version: EngineVersion, degrees: Degrees = NOTHING
) -> EngineConfig | EngineRefusal:
    """Resolve every size the engine is started with."""
    facts, gpu, layout, rung = candidate.method.facts, candidate.shape.gpu, candidate.layout, candidate.rung
    resolved = candidate.method.resolve(gpu, version)
    if isinstance(resolved, EngineRefusal):
        return resolved
    length = context_length(request, facts, degrees)
    # What the user wants to serve at once must be allowed to run at once.
    sequences = max(batch_defaults(version, gpu)[1], ceil_div(request.concurrency, layout.data_parallel_size))
    sizes = batch_sizes(facts, version, gpu, length, BatchFlags(max_num_seqs=sequences))
    if isinstance(sizes, EngineRefusal):
        return sizes
    tokens, sequences = smaller(request, facts, length, max(sizes[0], sequences), sequences, degrees)
    return EngineConfig(
        max_model_len=length,
        max_num_seqs=sequences,
        max_num_batched_tokens=tokens,
        gpu_memory_utilization=request.gpu_memory_utilization or default_gpu_memory_utilization(version),
        dtype=resolved[0],
        quantization=resolved[1],
        kv_cache_dtype="fp8" if Fallback.FP8_KV_CACHE in rung else request.kv_cache_dtype,
        tensor_parallel_size=layout.tensor_parallel_size,
        pipeline_parallel_size=layout.pipeline_parallel_size,
        data_parallel_size=layout.data_parallel_size,
        enable_expert_parallel=layout.whole_experts,
        enforce_eager=Fallback.EAGER in rung,
        cpu_offload_bytes=offload_bytes(request, degrees),
    )


def _served_precision(candidate: Candidate, config: EngineConfig) -> str:
    method = candidate.method
    if method.on_the_fly is not None or method.facts.stored_quantization is not None:
        return method.precision
    return PRECISION_OF_DTYPE.get(config.dtype, config.dtype)


def _rejected(candidate: Candidate, reason: str, message: str, shortfall_bytes: int = 0) -> Rejected:
    return Rejected(candidate.label, str(reason), message, candidate.gpus, candidate.shape.gpu.product, shortfall_bytes)
