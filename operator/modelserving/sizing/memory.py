"""The memory budget of one replica, put together.

    budget = ceil(total x gpu_memory_utilization)
    KV cache = budget - weights - activation peak - CUDA graphs - non-torch            on every rank

Source: vLLM 0.32 v1/worker/utils.py `request_memory`, v1/worker/gpu_worker.py `determine_available_memory`.
"""

from dataclasses import replace
from math import ceil

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts
from modelserving.sizing.activation import activation_peak
from modelserving.sizing.budget import MemoryEstimate, RankMemory, combined_margins
from modelserving.sizing.cuda_graphs import captured, cuda_graphs, outside_bytes
from modelserving.sizing.host_memory import host_memory, pinned_bytes
from modelserving.sizing.kv_cache import Pool, StageCache, pool, stage_caches
from modelserving.sizing.non_torch import non_torch
from modelserving.sizing.runner import runs_second
from modelserving.sizing.sharding import alike_stages, stage_layers
from modelserving.sizing.weights import RankWeights, generation_only, rank_weights, weights_only
from modelserving.units import ceil_div

_ENGINES_NOT_LOGGED = (
    "No start with data parallelism was logged: what is gathered for the experts follows vLLM's code, in a wide band."
)


def estimate(
    facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion, concurrency: int = 1
) -> MemoryEstimate:
    """Memory of a replica that `engine.rules.refusal` lets pass.

    Args:
        facts: the model.
        config: the engine's configuration.
        gpu: each of its GPUs.
        version: facts of the vLLM version.
        concurrency: requests of max_model_len tokens whose KV cache must fit at once; engines share them out evenly.
    """
    budget = budget_bytes(gpu, config)
    stages = range(config.pipeline_parallel_size)
    placed = weights_only(config)
    alike = generation_only(gpu)
    same = alike_stages(facts, config.pipeline_parallel_size)
    held = {stage: rank_weights(facts, placed, version, stage, alike) for stage in set(same)}
    sized = {stage: _rank(facts, config, gpu, version, stage, held[stage], budget) for stage in set(same)}
    weights = [held[same[stage]] for stage in stages]
    ranks = tuple(replace(sized[same[stage]], pipeline_rank=stage) for stage in stages)
    caches = stage_caches(facts, config, gpu, version)
    pools = [
        pool(cache, rank.kv_cache_available, config.max_model_len)
        for cache, rank in zip(caches, ranks, strict=True)
        if cache.bytes_per_block
    ]
    smallest = min(pools, key=lambda found: (found.max_concurrency, found.tokens), default=Pool(0, 0, 0.0))
    return MemoryEstimate(
        ranks=ranks,
        total_bytes=gpu.memory_total_bytes,
        budget_bytes=budget,
        kv_cache=_fullest(caches).need(ceil_div(concurrency, config.data_parallel_size)),
        kv_cache_tokens=smallest.tokens * config.data_parallel_size,
        max_concurrency=smallest.max_concurrency * config.data_parallel_size,
        host_memory_bytes=_host(config, weights),
        assumptions=_assumptions(facts, config, version),
    )


def budget_bytes(gpu: Gpu, config: EngineConfig) -> int:
    """Bytes that vLLM may use of each GPU."""
    return ceil(gpu.memory_total_bytes * config.gpu_memory_utilization)


def _rank(
    facts: ModelFacts,
    config: EngineConfig,
    gpu: Gpu,
    version: EngineVersion,
    stage: int,
    weights: RankWeights,
    budget: int,
) -> RankMemory:
    layers = len(stage_layers(facts.num_layers, config.pipeline_parallel_size)[stage])
    is_last = stage == config.pipeline_parallel_size - 1
    activation = activation_peak(facts, config, version, is_last)
    graphs = cuda_graphs(facts, config, gpu, version, layers)
    other = non_torch(config, gpu, version)
    terms = (weights.on_gpu, activation, graphs, other)
    available = budget - sum(term.value for term in terms)
    below, above = combined_margins(terms)
    return RankMemory(
        pipeline_rank=stage,
        weights=weights.on_gpu,
        activation_peak=activation,
        cuda_graphs=graphs,
        non_torch=other,
        kv_cache_available=available,
        kv_cache_available_low=available - above,
        kv_cache_available_high=available + below,
        graphs_captured=captured(facts, config, gpu, version, layers),
        graphs_in_peak=runs_second(facts, version),
        graphs_outside_bytes=outside_bytes(facts, config, gpu, version, layers),
        offloaded_bytes=weights.offloaded_bytes,
        load_peak_bytes=weights.on_gpu.value + weights.largest_module,
    )


def _assumptions(facts: ModelFacts, config: EngineConfig, version: EngineVersion) -> tuple[str, ...]:
    engines = (_ENGINES_NOT_LOGGED,) if config.data_parallel_size > 1 else ()
    return facts.assumptions + engines + ((version.note,) if version.note else ())


def _fullest(caches: tuple[StageCache, ...]) -> StageCache:
    return max(caches, key=lambda cache: cache.bytes_per_block * cache.blocks_per_request)


def _host(config: EngineConfig, weights: list[RankWeights]) -> int:
    pinned = config.expert_ranks * sum(pinned_bytes(rank.offloaded) for rank in weights)
    largest = max(rank.largest_module for rank in weights)
    return host_memory(config.world_size, pinned, largest, config.data_parallel_size)
