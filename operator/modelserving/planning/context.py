"""The context that a candidate too small for what was asked would hold."""

from dataclasses import replace

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts
from modelserving.sizing.budget import MemoryEstimate
from modelserving.sizing.memory import estimate
from modelserving.units import ceil_div


def longest_context(
    facts: ModelFacts,
    config: EngineConfig,
    gpu: Gpu,
    version: EngineVersion,
    concurrency: int,
    memory: MemoryEstimate,
) -> int:
    """Find a context length in whole blocks that would fit, 0 if none does.

    Exact where every layer keeps the whole context; where layers keep a window the true limit may lie above.
    """
    kv = memory.kv_cache
    blocks = memory.tightest_rank.kv_cache_available_low // kv.bytes_per_block - 1 if kv.bytes_per_block else 0
    length = blocks // ceil_div(concurrency, config.data_parallel_size) * kv.block_size
    if not 0 < length < config.max_model_len:
        return 0
    return length if estimate(facts, replace(config, max_model_len=length), gpu, version, concurrency).fits else 0
