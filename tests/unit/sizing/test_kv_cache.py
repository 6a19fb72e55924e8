"""KV cache need; vLLM's own figures are in test_oracle.py."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_cases import H100, V19, V32, config_of, engine_config, facts_from, facts_of
from modelserving.engine.versions import EngineVersion, engine_version
from modelserving.models.facts import AttentionGroup, AttentionKind
from modelserving.sizing.kv_cache import StageCache, kv_dtype, pool, stage_caches

LLAMA = facts_of("llama31-8b")
MISTRAL = facts_of("mistral-7b-v01")


def test_what_is_asked_for_is_whole_requests_and_the_null_block() -> None:
    need = stage_caches(LLAMA, engine_config(LLAMA, max_model_len=100), H100, V32)[0].need(concurrency=3)
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
    blocks = stage_caches(MISTRAL, config, H100, version)[0].blocks_per_request
    assert blocks == -(-(4095 + batches * 1024) // 16) + 1


def test_mixed_layers_are_grouped_by_the_smaller_kind() -> None:
    kinds = (["sliding_attention"] * 3 + ["full_attention"]) * 8
    facts = facts_from(config_of("llama31-8b", sliding_window=512, layer_types=kinds))
    config = engine_config(facts, max_model_len=16384, max_num_batched_tokens=1024)
    cache = stage_caches(facts, config, H100, V32)[0]
    sliding = -(-(511 + 2048) // 16) + 1
    assert cache.bytes_per_block == 8 * 65536
    assert cache.blocks_per_request == 1024 + 3 * sliding


def test_kinds_of_nearly_equal_number_share_the_larger_group() -> None:
    kinds = ["sliding_attention"] * 18 + ["full_attention"] * 14
    facts = facts_from(config_of("llama31-8b", sliding_window=512, layer_types=kinds))
    assert stage_caches(facts, engine_config(facts), H100, V32)[0].bytes_per_block == 18 * 65536


def test_a_stage_without_attention_takes_nothing() -> None:
    none = replace(LLAMA, attention=())
    assert stage_caches(none, engine_config(none), H100, V32)[0] == StageCache(16, 0, 0)


def test_the_checkpoint_may_decide_the_type() -> None:
    quantization = {"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}
    scaled = facts_from(config_of("llama31-8b", quantization_config=quantization))
    assert kv_dtype(scaled, engine_config(scaled), H100) == "fp8"
    assert kv_dtype(scaled, engine_config(scaled, kv_cache_dtype="bfloat16"), H100) == "bfloat16"
    assert kv_dtype(LLAMA, engine_config(LLAMA, dtype="float16"), H100) == "float16"


@given(length=st.integers(1, 131072), more=st.integers(1, 1000), sliding=st.booleans())
def test_more_context_never_needs_less(length: int, more: int, sliding: bool) -> None:
    facts = MISTRAL if sliding else LLAMA
    smaller, larger = (
        stage_caches(facts, engine_config(facts, max_model_len=size), H100, V32)[0].need(2)
        for size in (length, length + more)
    )
    assert larger.one_request_bytes >= smaller.one_request_bytes
    assert larger.requested_bytes >= smaller.requested_bytes


def test_a_state_is_kept_twice_and_a_checkpoint_with_prefix_caching() -> None:
    nemotron = facts_of("nemotron-h-8b")
    with_prefixes, without = (
        stage_caches(nemotron, engine_config(nemotron, enable_prefix_caching=caches), H100, V32)[0]
        for caches in (None, False)
    )
    assert with_prefixes.bytes_per_block == without.bytes_per_block
    assert with_prefixes.blocks_per_request - without.blocks_per_request == 6 * 2


def test_windows_cost_the_whole_context_without_the_hybrid_manager() -> None:
    gemma = facts_of("gemma2-9b")
    length = gemma.max_model_len
    promoted = stage_caches(gemma, engine_config(gemma, disable_hybrid_kv_cache_manager=True), H100, V32)[0]
    assert promoted.blocks_per_request == length // 16
    assert promoted.bytes_per_block == 42 * 131072
    mistral = stage_caches(MISTRAL, engine_config(MISTRAL, disable_hybrid_kv_cache_manager=True), H100, V32)[0]
    assert mistral == stage_caches(MISTRAL, engine_config(MISTRAL), H100, V32)[0]


def chunked(layers: range) -> AttentionGroup:
    return AttentionGroup(AttentionKind.CHUNKED_LOCAL, tuple(layers), 32, 8, 128, 128, attention_chunk_size=8192)


def test_chunks_were_kept_whole_beside_full_attention_before_0_32() -> None:
    full = replace(LLAMA.attention[0], layers=tuple(range(24, 32)))
    facts = replace(LLAMA, attention=(chunked(range(24)), full))
    config = engine_config(facts)
    assert stage_caches(facts, config, H100, V19) == stage_caches(LLAMA, config, H100, V19)
    now = stage_caches(facts, config, H100, V32)[0]
    # Groups of 8 layers: 3 keep a chunk and two batches, one keeps everything.
    assert now.blocks_per_request == 3 * (8192 + 2 * config.max_num_batched_tokens) // 16 + 131072 // 16


def test_chunks_alone_keep_a_chunk_and_what_is_in_flight() -> None:
    facts = replace(LLAMA, attention=(chunked(range(32)),))
    cache = stage_caches(facts, engine_config(facts, max_num_batched_tokens=1024), H100, V32)[0]
    assert cache.blocks_per_request == (8192 + 2 * 1024) // 16


def test_latent_vectors_are_whole_on_every_rank_and_an_indexer_adds_its_keys() -> None:
    deepseek = facts_of("deepseek-v2-lite")
    alone, shared = (
        stage_caches(deepseek, engine_config(deepseek, tensor_parallel_size=ranks), H100, V32)[0] for ranks in (1, 8)
    )
    assert alone == shared
    assert deepseek.latent_attention is not None
    keys = AttentionGroup(
        AttentionKind.MLA, deepseek.attention[0].layers, 16, 1, 132, 0, fixed_dtype="uint8", is_indexer=True
    )
    sparse = replace(
        deepseek,
        attention=(*deepseek.attention, keys),
        latent_attention=replace(deepseek.latent_attention, index_topk=2048),
    )
    cache = stage_caches(sparse, engine_config(sparse, kv_cache_dtype="fp8"), H100, V32)[0]
    assert cache.bytes_per_block == 27 * 64 * (656 + 132)


def test_layers_that_share_or_only_encode_keep_nothing() -> None:
    first = replace(LLAMA.attention[0], layers=tuple(range(20)))
    shared = replace(LLAMA.attention[0], kind=AttentionKind.SHARED, layers=tuple(range(20, 32)))
    facts = replace(LLAMA, attention=(first, shared))
    assert stage_caches(facts, engine_config(facts), H100, V32)[0].bytes_per_block == 20 * 65536
    encoder = replace(LLAMA, attention=(replace(LLAMA.attention[0], kind=AttentionKind.ENCODER_ONLY),))
    assert stage_caches(encoder, engine_config(encoder), H100, V32)[0].bytes_per_block == 0


def test_an_encoder_is_kept_by_its_batch() -> None:
    whisper = facts_of("whisper-large-v3")
    small, large = (
        stage_caches(whisper, engine_config(whisper, max_num_batched_tokens=tokens), H100, V32)[0]
        for tokens in (2048, 8192)
    )
    assert large.blocks_per_request - small.blocks_per_request == (8192 - 2048) // 16
