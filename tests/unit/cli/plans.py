"""Plans built by hand: what the sample gives on H100 nodes, in round figures, and a rejection."""

from modelserving.engine.config import EngineConfig
from modelserving.planning.plan import Alternative, Placement, Plan, Rejected, Rejection
from modelserving.sizing.budget import KvCacheNeed, MemoryEstimate, RankMemory, Term
from modelserving.units import GIB, MIB

H100 = "NVIDIA-H100-80GB-HBM3"
H200 = "NVIDIA-H200"
BUDGET = 73 * GIB
REJECTED = (
    Rejected(
        f"1 × {H100}", "InsufficientGPUMemory", "136.3 GiB of weights on each GPU, 73.0 GiB to spend", 1, H100, 63 * GIB
    ),
    Rejected(f"2 × {H100}", "InsufficientGPUMemory", "short by 15.2 GiB on each GPU", 2, H100, 15 * GIB),
    Rejected(f"3 × {H100}", "HeadsNotDivisible", "64 attention heads cannot be split over 3 GPUs", 3, H100, 0),
)


def llava_plan(waiting: str = "", offloaded_bytes: int = 0) -> Plan:
    """A plan on 4 GPUs whose terms add up to the budget."""
    weights, kv, activation, graphs, other = 34 * GIB, 10 * GIB, 2 * GIB, 1 * GIB, 512 * MIB
    available = BUDGET - weights - activation - graphs - other
    rank = RankMemory(
        pipeline_rank=0,
        weights=Term.exact(weights, "inventory"),
        activation_peak=Term(activation, GIB, 3 * GIB, "formula"),
        cuda_graphs=Term(graphs, 0, 2 * GIB, "measurement"),
        non_torch=Term(other, other, GIB, "measurement"),
        kv_cache_available=available,
        kv_cache_available_low=available - 3 * GIB,
        offloaded_bytes=offloaded_bytes,
    )
    memory = MemoryEstimate(
        ranks=(rank,),
        total_bytes=79 * GIB,
        budget_bytes=BUDGET,
        kv_cache=KvCacheNeed(16, MIB, kv // 4, kv // 4, kv),
        kv_cache_tokens=465_000,
        max_concurrency=14.2,
        host_memory_bytes=40 * GIB,
    )
    return Plan(
        model="llava-hf/llava-onevision-qwen2-72b-ov-hf",
        revision="0123456789abcdef0123456789abcdef01234567",
        origin="Catalogue",
        architecture="LlavaOnevisionForConditionalGeneration",
        parameter_count=73_000_000_000,
        precision="bf16",
        stored=True,
        quantization=None,
        engine_version="0.32.0",
        config=EngineConfig(32768, 256, 8192, 0.92, tensor_parallel_size=4),
        placement=Placement(H100, "nvidia.com/gpu", 4, free_now=0 if waiting else 4, waiting=waiting),
        memory=memory,
        concurrency=4,
        checkpoint_bytes=136 * GIB,
        decision=f"llava in bf16 (as stored) on 4 × {H100}, tensor parallel 4.",
        rejected=REJECTED,
        alternatives=(
            Alternative(f"2 × {H200}", "bf16, 68.2 GiB of weights on each GPU, 20.1 requests of full length at once"),
        ),
        notes=("Facts of llava come from the catalogue bundled with the operator: no Hub could be asked.",),
        request_digest="0123456789abcdef",
    )


def rejection() -> Rejection:
    """A rejection for want of memory."""
    return Rejection("InsufficientGPUMemory", "The model has 136.3 GiB of weights; no node takes it.", REJECTED)
