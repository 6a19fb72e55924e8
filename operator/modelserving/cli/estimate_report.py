"""Estimates for machines: the answer to one case of `modelserving estimate --cases`, sizes as whole bytes."""

from typing import Any

from modelserving.cli.estimate_case import Estimated, Refused
from modelserving.sizing.budget import MemoryEstimate, RankMemory, Term
from modelserving.units import format_gib, format_shortfall


def answer(case_id: Any, result: Estimated | Refused) -> dict[str, Any]:
    """Put one result into the shape that `--cases` writes."""
    if isinstance(result, Refused):
        return {"id": case_id, "refused": {"reason": result.reason, "message": result.message}}
    memory, config = result.memory, result.config
    return {
        "id": case_id,
        "refused": None,
        "ranks": [_rank(memory, rank) for rank in memory.ranks],
        "kv_cache": {
            "block_size": memory.kv_cache.block_size,
            "bytes_per_block": memory.kv_cache.bytes_per_block,
            "one_request_bytes": memory.kv_cache.one_request_bytes,
            "min_bytes_to_start": memory.kv_cache.min_bytes_to_start,
            "tokens": memory.kv_cache_tokens,
            "max_concurrency": round(memory.max_concurrency, 4),
        },
        "engine": {
            "max_model_len": config.max_model_len,
            "max_num_seqs": config.max_num_seqs,
            "max_num_batched_tokens": config.max_num_batched_tokens,
            "gpu_memory_utilization": config.gpu_memory_utilization,
            "dtype": config.dtype,
        },
        "gpu": {"product": result.gpu.product, "memory_total_bytes": result.gpu.memory_total_bytes},
        "host_memory_bytes": memory.host_memory_bytes,
        "fits": memory.fits,
        "message": message(memory),
        "assumptions": list(result.assumptions),
    }


def message(memory: MemoryEstimate) -> str:
    """Say for a person whether it fits."""
    rank, need = memory.tightest_rank, memory.kv_cache
    needed = max(need.requested_bytes, need.min_bytes_to_start)
    if memory.fits:
        return (
            f"Fits: {format_gib(rank.kv_cache_available)} of each GPU are left for the KV cache, which needs "
            f"{format_gib(needed)}; room for {memory.max_concurrency:.1f} requests of full length at once."
        )
    if rank.weights.value > memory.budget_bytes:
        return (
            f"Does not fit: {format_gib(rank.weights.value)} of weights on each GPU, "
            f"{format_gib(memory.budget_bytes)} to spend."
        )
    return (
        f"Does not fit for certain: short by {format_shortfall(memory.shortfall_bytes)} on each GPU at the upper end of the bands; "
        f"{format_gib(rank.kv_cache_available)} are left for the KV cache at the best estimate, which needs "
        f"{format_gib(needed)}."
    )


def _rank(memory: MemoryEstimate, rank: RankMemory) -> dict[str, Any]:
    """Terms as vLLM logs them: budget = weights on the GPU + activation peak + non-torch + set aside for graphs + KV cache."""
    moved, weights = rank.offloaded_bytes, rank.weights
    terms = {
        # All of the rank's weights; offloaded_bytes of them lie in host memory.
        "weights_bytes": Term(weights.value + moved, weights.low + moved, weights.high + moved, weights.source),
        "activation_peak_bytes": rank.logged_peak,
        "non_torch_bytes": rank.non_torch,
        "cuda_graph_bytes": rank.graphs_captured,
        "cuda_graph_set_aside_bytes": rank.logged_set_aside,
    }
    return {
        "pipeline_rank": rank.pipeline_rank,
        **{name: term.value for name, term in terms.items()},
        "kv_cache_bytes": rank.kv_cache_available,
        "free": memory.total_bytes - memory.budget_bytes - rank.graphs_outside_bytes,
        "offloaded_bytes": moved,
        "bands": {name: _band(term) for name, term in terms.items()}
        | {"kv_cache_bytes": [rank.kv_cache_available_low, rank.kv_cache_available_high]},
    }


def _band(term: Term) -> list[int]:
    return [term.low, term.high]
