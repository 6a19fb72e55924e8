"""vLLM's own planner of the KV cache, asked about any mix of layers: runs where vLLM's wheels are installed."""

from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from modelserving.engine.config import EngineConfig
from modelserving.engine.shares import local_heads
from modelserving.models.facts import AttentionGroup, AttentionKind, ModelFacts
from modelserving.sizing.sharding import stage_layers


def answer(facts: ModelFacts, config: EngineConfig, block_size: int, padded_page: int) -> list[tuple[int, int]]:
    """(bytes of a block, blocks of a request) of every pipeline stage, by vLLM's functions.

    Args:
        facts: a model whose layers keep 16-bit caches.
        config: the engine's configuration.
        block_size: tokens in a block, as the platform would set it.
        padded_page: bytes that a recurrent state's page is padded to; 0 where nothing is padded.

    Raises:
        NotImplementedError: vLLM cannot put these layers into one pool.
    """
    planner = import_module("vllm.v1.core.kv_cache_utils")
    asked = _config(config)
    _register(asked)
    specs = dict(_specs(facts, config, block_size, padded_page))
    groups = planner.get_kv_cache_groups(asked, dict(specs))
    blocks = planner._max_memory_usage_bytes_from_groups(asked, groups) // planner._pool_bytes_per_block(asked, groups)
    told = []
    for layers in stage_layers(facts.num_layers, config.pipeline_parallel_size):
        held = {name: spec for name, spec in specs.items() if int(name.split(".")[0]) in layers}
        stage = planner._project_kv_cache_groups_to_worker(groups, held)
        told.append((planner._pool_bytes_per_block(asked, stage), blocks))
    return told


def _register(asked: Any) -> None:
    import_module("vllm.v1.core.single_type_kv_cache_manager").register_all_kvcache_specs(asked)


def _config(config: EngineConfig) -> Any:
    """The parts of VllmConfig that the planner reads."""
    layout = import_module("vllm.v1.kv_cache_layout").KVCacheLayout.LBNHC
    return SimpleNamespace(
        scheduler_config=SimpleNamespace(
            disable_hybrid_kv_cache_manager=config.disable_hybrid_kv_cache_manager,
            max_num_encoder_input_tokens=config.max_num_batched_tokens,
        ),
        model_config=SimpleNamespace(max_model_len=config.max_model_len),
        parallel_config=SimpleNamespace(decode_context_parallel_size=1),
        cache_config=SimpleNamespace(
            mamba_cache_mode="none" if config.enable_prefix_caching is False else "align",
            get_resolved_kv_cache_layout=lambda: layout,
        ),
        attention_config=SimpleNamespace(hisparse_config=None),
        speculative_config=None,
        max_in_flight_tokens=(config.pipeline_parallel_size + 1) * config.max_num_batched_tokens,
    )


def _specs(facts: ModelFacts, config: EngineConfig, block_size: int, padded_page: int) -> Iterator[tuple[str, Any]]:
    named = [
        (layer, f"{layer}.{index}", group) for index, group in enumerate(facts.attention) for layer in group.layers
    ]
    for _, name, group in sorted(named, key=lambda item: item[:2]):
        yield name, _spec(group, config, block_size, padded_page)


def _spec(group: AttentionGroup, config: EngineConfig, block_size: int, padded_page: int) -> Any:
    torch = import_module("torch")
    kv = import_module("vllm.v1.kv_cache_interface")
    if group.kind is AttentionKind.MAMBA:
        sizes = [(state.elements(config.tensor_parallel_size), state.dtype or config.dtype) for state in group.states]
        return kv.MambaSpec(
            block_size=block_size,
            shapes=tuple((elements,) for elements, _ in sizes),
            dtypes=tuple(getattr(torch, dtype) for _, dtype in sizes),
            page_size_padded=padded_page or None,
            mamba_cache_mode="none" if config.enable_prefix_caching is False else "align",
            num_prefill_checkpoint_blocks=group.checkpoint_blocks,
        )
    common = {
        "block_size": block_size,
        "num_kv_heads": local_heads(group.num_kv_heads, config.tensor_parallel_size),
        "head_size": group.head_size,
        "dtype": getattr(torch, group.fixed_dtype or config.dtype),
    }
    if group.kind is AttentionKind.MLA:
        role = kv.SparseCacheRole.INDEXER if group.is_indexer else kv.SparseCacheRole.SPARSE
        return kv.MLAAttentionSpec(**common, cache_role=role)
    if group.kind is AttentionKind.SLIDING_WINDOW:
        return kv.SlidingWindowSpec(**common, head_size_v=group.head_size_v, sliding_window=group.sliding_window)
    if group.kind is AttentionKind.CROSS:
        return kv.CrossAttentionSpec(**common)
    return kv.FullAttentionSpec(**common, head_size_v=group.head_size_v)
