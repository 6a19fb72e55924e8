"""KV cache need; vLLM's own figures are in test_oracle.py."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_cases import V19, V32, config_of, engine_config, facts_from, facts_of
from modelserving.engine.versions import EngineVersion, engine_version
from modelserving.sizing.kv_cache import StageCache, kv_dtype, pool, stage_cache

LLAMA = facts_of("llama31-8b")
MISTRAL = facts_of("mistral-7b-v01")


def test_what_is_asked_for_is_whole_requests_and_the_null_block() -> None:
    need = stage_cache(LLAMA, engine_config(LLAMA, max_model_len=100), V32, 0).need(concurrency=3)
    assert need.bytes_per_block == 2 * 2**20
    assert need.one_request_bytes == 7 * need.bytes_per_block
    assert need.requested_bytes == 22 * need.bytes_per_block
    assert need.min_bytes_to_start == 8 * need.bytes_per_block


def test_a_pool_counts_requests_as_vllm_does() -> None:
    cache = StageCache(16, 1000, 8)
    assert pool(cache, 20_999, 128).num_blocks == 20
    assert pool(cache, 20_999, 128).max_concurrency == 2.5
    assert pool(cache, 20_999, 128).tokens == 320
    assert pool(cache, -5, 128).tokens == 0
    assert pool(StageCache(16, 0, 0), 100, 128).num_blocks == 0


@pytest.mark.parametrize(
    ("version", "batches"), [(V32, 2), (V19, 2), (engine_version("0.11.0"), 1)], ids=["0.32", "0.19", "0.11"]
)
def test_a_window_holds_what_is_in_flight(version: EngineVersion, batches: int) -> None:
    config = engine_config(MISTRAL, max_num_batched_tokens=1024)
    blocks = stage_cache(MISTRAL, config, version, 0).blocks_per_request
    assert blocks == -(-(4095 + batches * 1024) // 16) + 1


def test_mixed_layers_are_grouped_by_the_smaller_kind() -> None:
    kinds = (["sliding_attention"] * 3 + ["full_attention"]) * 8
    facts = facts_from(config_of("llama31-8b", sliding_window=512, layer_types=kinds))
    config = engine_config(facts, max_model_len=16384, max_num_batched_tokens=1024)
    cache = stage_cache(facts, config, V32, 0)
    sliding = -(-(511 + 2048) // 16) + 1
    assert cache.bytes_per_block == 8 * 65536
    assert cache.blocks_per_request == 1024 + 3 * sliding


def test_kinds_of_nearly_equal_number_share_the_larger_group() -> None:
    kinds = ["sliding_attention"] * 18 + ["full_attention"] * 14
    facts = facts_from(config_of("llama31-8b", sliding_window=512, layer_types=kinds))
    assert stage_cache(facts, engine_config(facts), V32, 0).bytes_per_block == 18 * 65536


def test_a_stage_without_attention_takes_nothing() -> None:
    none = replace(LLAMA, attention=())
    assert stage_cache(none, engine_config(none), V32, 0) == StageCache(16, 0, 0)


def test_the_checkpoint_may_decide_the_type() -> None:
    quantization = {"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}
    scaled = facts_from(config_of("llama31-8b", quantization_config=quantization))
    assert kv_dtype(scaled, engine_config(scaled)) == "fp8"
    assert kv_dtype(scaled, engine_config(scaled, kv_cache_dtype="bfloat16")) == "bfloat16"
    assert kv_dtype(LLAMA, engine_config(LLAMA, dtype="float16")) == "float16"


@given(length=st.integers(1, 131072), more=st.integers(1, 1000), sliding=st.booleans())
def test_more_context_never_needs_less(length: int, more: int, sliding: bool) -> None:
    facts = MISTRAL if sliding else LLAMA
    smaller, larger = (
        stage_cache(facts, engine_config(facts, max_model_len=size), V32, 0).need(2) for size in (length, length + more)
    )
    assert larger.one_request_bytes >= smaller.one_request_bytes
    assert larger.requested_bytes >= smaller.requested_bytes
