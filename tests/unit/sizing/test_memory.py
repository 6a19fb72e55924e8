"""The budget as a whole."""

import gc
import tracemalloc
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_cases import GPUS, H100, V32, engine_config, facts_of
from modelserving.engine.rules import refusal
from modelserving.engine.versions import engine_version
from modelserving.sizing.budget import MemoryEstimate, Term, combined_margins
from modelserving.sizing.memory import estimate
from modelserving.units import GIB

MODELS = ("llama31-8b", "qwen2-72b", "llava-onevision-72b")
LLAMA, QWEN72, LLAVA = (facts_of(model) for model in MODELS)


def test_terms_and_kv_cache_make_the_budget() -> None:
    told = estimate(LLAMA, engine_config(LLAMA), H100, V32)
    rank = told.tightest_rank
    assert told.budget_bytes == ceil(H100.memory_total_bytes * 0.92)
    assert rank.without_kv_cache + rank.kv_cache_available == told.budget_bytes
    assert rank.kv_cache_available_low < rank.kv_cache_available
    assert told.kv_cache_tokens == rank.kv_cache_available // told.kv_cache.bytes_per_block * 16


def test_margins_add_as_independent_errors() -> None:
    assert combined_margins((Term(10, 7, 13, ""), Term(10, 6, 22, ""), Term.exact(9, ""))) == (5, 12)


def test_the_sample_fits_two_h200_and_four_h100() -> None:
    wanted = {"H200": 2, "H100-80": 4}
    for name, expected in wanted.items():
        gpu = GPUS[name]
        fits = [
            ranks
            for ranks in (1, 2, 4, 8)
            if estimate(LLAVA, engine_config(LLAVA, V32, gpu, tensor_parallel_size=ranks), gpu, V32, concurrency=4).fits
        ]
        assert fits[0] == expected


def test_what_does_not_fit_says_by_how_much() -> None:
    told = estimate(QWEN72, engine_config(QWEN72), H100, V32)
    assert not told.fits
    assert told.shortfall_bytes > 60 * GIB
    assert told.kv_cache_tokens == 0
    assert told.max_concurrency == 0


def test_stages_differ_and_the_smallest_pool_counts() -> None:
    told = estimate(LLAMA, engine_config(LLAMA, pipeline_parallel_size=3), H100, V32)
    assert [rank.pipeline_rank for rank in told.ranks] == [0, 1, 2]
    assert told.ranks[0].weights.value > told.ranks[1].weights.value
    assert told.kv_cache.bytes_per_block == 11 * 65536
    tokens = [
        rank.kv_cache_available // (count * 65536) * 16 for rank, count in zip(told.ranks, (11, 11, 10), strict=True)
    ]
    assert told.kv_cache_tokens == min(tokens)


def test_offload_moves_weights_to_the_host() -> None:
    plain = estimate(QWEN72, engine_config(QWEN72, tensor_parallel_size=2), H100, V32)
    moved = estimate(QWEN72, engine_config(QWEN72, tensor_parallel_size=2, cpu_offload_bytes=10 * GIB), H100, V32)
    offloaded = moved.ranks[0].offloaded_bytes
    assert 10 * GIB <= offloaded < 11 * GIB
    gained = moved.ranks[0].kv_cache_available - plain.ranks[0].kv_cache_available
    assert gained == pytest.approx(offloaded, rel=0.01)
    assert moved.host_memory_bytes - plain.host_memory_bytes >= 2 * offloaded


def test_quantizing_while_loading_needs_one_module_more() -> None:
    told = estimate(LLAMA, engine_config(LLAMA, quantization="fp8_per_tensor"), H100, V32)
    rank = told.ranks[0]
    assert rank.weights.value / GIB == pytest.approx(8.4889, abs=1e-4)
    assert rank.load_peak_bytes - rank.weights.value == 2 * 14336 * 4096 * 2


def test_what_was_assumed_is_told() -> None:
    version = engine_version("0.29.0")
    told = estimate(LLAMA, engine_config(LLAMA, version), H100, version)
    assert told.assumptions == (version.note,)


FLAGS = st.fixed_dictionaries(
    {
        "tensor_parallel_size": st.sampled_from([1, 2, 4, 8]),
        "pipeline_parallel_size": st.sampled_from([1, 2, 3]),
        "max_model_len": st.integers(1, 32768),
        "max_num_seqs": st.integers(1, 1024),
        "max_num_batched_tokens": st.integers(1024, 16384),
        "quantization": st.sampled_from([None, "fp8_per_tensor", "mxfp4"]),
        "kv_cache_dtype": st.sampled_from(["auto", "fp8"]),
        "enforce_eager": st.booleans(),
    }
)


@settings(deadline=None)
@given(flags=FLAGS, model=st.sampled_from(MODELS), more=st.integers(1, 100_000))
def test_every_legal_configuration_gives_numbers_that_add_up(flags: dict[str, Any], model: str, more: int) -> None:
    facts = facts_of(model)
    config = engine_config(facts, **flags)
    if refusal(facts, config, H100, V32) is not None:
        return
    told: MemoryEstimate = estimate(facts, config, H100, V32, concurrency=2)
    for rank in told.ranks:
        for term in (rank.weights, rank.activation_peak, rank.cuda_graphs, rank.non_torch):
            assert 0 <= term.low <= term.value <= term.high
        assert rank.kv_cache_available_low <= rank.kv_cache_available
    assert told.kv_cache_tokens >= 0
    longer = engine_config(facts, **(flags | {"max_model_len": min(config.max_model_len + more, facts.max_model_len)}))
    assert estimate(facts, longer, H100, V32, concurrency=2).shortfall_bytes >= told.shortfall_bytes


def test_an_estimate_keeps_nothing() -> None:
    config = engine_config(LLAVA, tensor_parallel_size=4)
    estimate(LLAVA, config, H100, V32, 4)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50):
        estimate(LLAVA, config, H100, V32, 4)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 64 * 1024
