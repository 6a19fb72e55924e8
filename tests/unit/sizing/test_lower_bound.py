"""What a replica takes at the least: never more than it takes, however it is spread."""

from typing import Any

import pytest

from model_cases import GPUS, V32, engine_config, facts_of
from modelserving.engine.rules import refusal
from modelserving.hub.catalogue import as_metadata, bundled
from modelserving.models.facts import ModelFacts
from modelserving.models.reader import read_facts
from modelserving.sizing.lower_bound import least_bytes
from modelserving.sizing.memory import estimate
from modelserving.units import GIB

SPREADS: tuple[dict[str, Any], ...] = (
    {},
    {"tensor_parallel_size": 2},
    {"tensor_parallel_size": 8},
    {"tensor_parallel_size": 16},
    {"pipeline_parallel_size": 3},
    {"tensor_parallel_size": 4, "pipeline_parallel_size": 2},
    {"tensor_parallel_size": 8, "pipeline_parallel_size": 16},
    {"tensor_parallel_size": 8, "enable_expert_parallel": True},
    {"tensor_parallel_size": 2, "data_parallel_size": 4, "enable_expert_parallel": True},
    {"tensor_parallel_size": 4, "kv_cache_dtype": "fp8"},
    {"tensor_parallel_size": 4, "cpu_offload_bytes": 8 * GIB},
)


@pytest.mark.parametrize("model", sorted(bundled()))
@pytest.mark.parametrize("product", ["H100-80", "B200", "L40S"])
def test_no_spread_takes_less(model: str, product: str) -> None:
    facts = read_facts(as_metadata(bundled()[model]))
    gpu, looked_at = GPUS[product], 0
    if not isinstance(facts, ModelFacts):
        return
    for spread in SPREADS:
        config = engine_config(facts, V32, gpu, **spread)
        if (config.enable_expert_parallel and facts.experts is None) or refusal(facts, config, gpu, V32):
            continue
        looked_at += 1
        for concurrency in (1, 64):
            memory = estimate(facts, config, gpu, V32, concurrency)
            ranks = config.world_size // config.pipeline_parallel_size
            taken = ranks * sum(rank.weights.value for rank in memory.ranks)
            taken += config.world_size * memory.kv_cache.requested_bytes
            assert least_bytes(facts, config, gpu, V32, concurrency) <= taken, spread
    # What the GPU refuses at every spread has nothing to be held against.
    assert looked_at or refusal(facts, engine_config(facts, V32, gpu), gpu, V32)


def test_it_is_near_what_a_dense_model_takes() -> None:
    facts = facts_of("qwen2-72b")
    config = engine_config(facts, tensor_parallel_size=4)
    memory = estimate(facts, config, GPUS["H100-80"], V32, 64)
    taken = 4 * (memory.tightest_rank.weights.value + memory.kv_cache.requested_bytes)
    assert least_bytes(facts, config, GPUS["H100-80"], V32, 64) > 0.95 * taken
