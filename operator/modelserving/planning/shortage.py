"""By how much a configuration is too large, in a sentence whose sum adds up."""

from modelserving.engine.config import EngineConfig
from modelserving.sizing.budget import MemoryEstimate
from modelserving.units import format_gib, format_shortfall


def too_large(config: EngineConfig, memory: MemoryEstimate) -> str:
    """Say by how much a configuration that does not fit is too large.

    The band is said where it decides: a sum that fits only at the best estimate may run out of memory.
    """
    rank, budget = memory.tightest_rank, format_gib(memory.budget_bytes)
    on = "the GPU" if config.world_size == 1 else f"each of {config.world_size} GPUs"
    weights = format_gib(rank.weights.value)
    if rank.weights.value > memory.budget_bytes:
        return f"{weights} of weights on {on}, {budget} to spend"
    upper = memory.budget_bytes - rank.kv_cache_available_low
    if rank.kv_cache_available_low <= 0:
        return (
            f"{weights} of weights leave no room for the KV cache on {on}: {format_gib(rank.without_kv_cache)} "
            f"without it, which may reach {format_gib(upper)}; {budget} to spend"
        )
    kv_cache = max(memory.kv_cache.requested_bytes, memory.kv_cache.min_bytes_to_start)
    return (
        f"short by {format_shortfall(memory.shortfall_bytes)} on {on}: {format_gib(kv_cache)} of KV cache beside "
        f"{format_gib(rank.without_kv_cache)} of all else ({weights} of weights), which may reach {format_gib(upper)}; "
        f"{budget} to spend"
    )
