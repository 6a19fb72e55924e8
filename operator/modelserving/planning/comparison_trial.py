"""One method on one kind of node, cut one way: would vLLM start, and does the memory suffice."""

from dataclasses import dataclass, replace
from functools import cached_property

from modelserving.cluster.capacity import NodeShape
from modelserving.engine.batching import BatchFlags, batch_sizes
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.defaults import default_gpu_memory_utilization, resolve_dtype
from modelserving.engine.missing_kernels import missing_kernel
from modelserving.engine.rules import refusal
from modelserving.engine.versions import EngineVersion
from modelserving.planning.comparison_methods import ComparedMethod
from modelserving.planning.request import PlanRequest
from modelserving.planning.shortage import too_large
from modelserving.sizing.budget import MemoryEstimate
from modelserving.sizing.memory import estimate
from modelserving.units import ceil_div, format_gib

TOO_LARGE = "InsufficientGPUMemory"
HOST_MEMORY = "InsufficientHostMemory"
# Refusals that only tell which counts of GPUs do not divide: others are tried, so they are no news.
UNEVEN = frozenset(
    {
        *("HeadsNotDivisible", "VocabularyNotDivisible", "KvHeadsNotDivisible", "IntermediateSizeNotDivisible"),
        *("LayerNotDivisible", "GroupsNotDivisible", "MoreStagesThanLayers"),
    }
)


@dataclass(frozen=True, slots=True)
class Layout:
    """A cut that fits.

    Attributes:
        nodes: nodes that one replica takes.
    """

    config: EngineConfig
    memory: MemoryEstimate
    nodes: int

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.config.world_size


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a cut, or all of them, would not do.

    Attributes:
        reason: CamelCase.
        message: sentence with numbers.
    """

    reason: str
    message: str


@dataclass(frozen=True)
class Trial:
    """One method on one kind of node."""

    method: ComparedMethod
    request: PlanRequest
    shape: NodeShape
    version: EngineVersion

    @property
    def gpus_per_node(self) -> int:
        """GPUs of a node that a replica may take."""
        return min(self.shape.gpus_per_node, self.request.max_gpus_per_replica or self.shape.gpus_per_node)

    @cached_property
    def config(self) -> EngineConfig | EngineRefusal:
        """What vLLM would be started with on one GPU, or why it would not."""
        method, request, gpu = self.method, self.request, self.shape.gpu
        dtype = resolve_dtype(method.facts, method.dtype, gpu)
        if isinstance(dtype, EngineRefusal):
            return dtype
        length = request.context_length or method.facts.max_model_len
        flags = BatchFlags(*method.batch) if method.batch is not None else BatchFlags()
        sizes = batch_sizes(method.facts, self.version, gpu, length, flags)
        if isinstance(sizes, EngineRefusal):
            return sizes
        # What is to be served at once must be allowed to run at once.
        sequences = max(sizes[1], request.concurrency)
        return EngineConfig(
            max_model_len=length,
            max_num_seqs=sequences,
            max_num_batched_tokens=max(sizes[0], sequences),
            gpu_memory_utilization=request.gpu_memory_utilization or default_gpu_memory_utilization(self.version),
            dtype=dtype,
            quantization=method.quantization,
            kv_cache_dtype=method.kv_cache_dtype,
        )

    def refused(self, config: EngineConfig) -> Obstacle | None:
        """Why vLLM would not start, whatever the memory."""
        facts, gpu = self.method.facts, self.shape.gpu
        objection = missing_kernel(facts, gpu) or refusal(facts, config, gpu, self.version)
        return Obstacle(objection.reason, objection.message) if objection is not None else None

    def size(self, config: EngineConfig) -> MemoryEstimate:
        """Memory of a configuration that is not refused."""
        return estimate(self.method.facts, config, self.shape.gpu, self.version, self.request.concurrency)

    def cut(self, tensor: int, stages: int = 1) -> Layout | Obstacle:
        """Try so many ranks and stages."""
        if isinstance(self.config, EngineRefusal):
            return Obstacle(self.config.reason, self.config.message)
        return self.attempt(replace(self.config, tensor_parallel_size=tensor, pipeline_parallel_size=stages))

    def attempt(self, config: EngineConfig) -> Layout | Obstacle:
        """Try a configuration."""
        if refused := self.refused(config):
            return refused
        memory = self.size(config)
        nodes = ceil_div(config.world_size, self.gpus_per_node)
        if not memory.fits:
            return Obstacle(TOO_LARGE, too_large(config, memory))
        host = self.shape.host_memory_bytes * nodes
        if memory.host_memory_bytes > host:
            return Obstacle(
                HOST_MEMORY,
                f"needs {format_gib(memory.host_memory_bytes)} of host memory, and {_nodes(nodes)} {format_gib(host)}",
            )
        return Layout(config, memory, nodes)


def _nodes(count: int) -> str:
    return "the largest such node has" if count == 1 else f"{count} such nodes have"
