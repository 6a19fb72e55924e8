"""KV cache: bytes of a block, bytes of a request, what vLLM demands before it starts.

    full attention, MLA  ceil(max_model_len / block_size) pages a request
    sliding window       ceil(min(window - 1 + in flight, max_model_len) / block_size) + 1
    chunked local        ceil(min(chunk + in flight, max_model_len) / block_size); before 0.32 as full
    recurrent state      1 page, with prefix caching 2 and a checkpoint for Mamba-2
    cross-attention      ceil(tokens of the encoder's batch / block_size)
    encoder-only, shared none

A page is block_size x what a token keeps (`kv_dtype`); `kv_groups` lays pages over blocks. One block, the null block, is
never given out.

Source: vLLM 0.32 v1/kv_cache_interface.py (`max_memory_usage_bytes` of every spec), v1/core/kv_cache_utils.py
(`_max_memory_usage_bytes_from_groups`, `get_max_concurrency_for_kv_cache_config`), config/vllm.py `max_in_flight_tokens`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.shares import local_heads
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import AttentionGroup, AttentionKind, ModelFacts
from modelserving.sizing.budget import KvCacheNeed
from modelserving.sizing.kv_blocks import DEFAULT_BLOCK_SIZE, block_size, state_bytes, token_bytes
from modelserving.sizing.kv_dtype import is_turboquant, kv_dtype
from modelserving.sizing.kv_groups import LayerCache, groups
from modelserving.sizing.sharding import stage_layers
from modelserving.units import round_up

__all__ = ["DEFAULT_BLOCK_SIZE", "Pool", "StageCache", "kv_dtype", "pool", "stage_caches"]

_WINDOWED = (AttentionKind.SLIDING_WINDOW, AttentionKind.SLIDING_WINDOW_MLA)
# Layers at each end that TurboQuant leaves in the model's type (TurboQuantConfig.get_boundary_skip_layers).
_TURBOQUANT_SKIPPED = 2
# States of a request: the running one, and with prefix caching the last block's (MambaSpec.max_memory_usage_bytes).
_STATES = 1
_STATES_WITH_PREFIX_CACHING = 2


@dataclass(frozen=True, slots=True)
class Pool:
    """A KV cache that fits into given bytes.

    Attributes:
        tokens: as vLLM logs them ("GPU KV cache size"): requests times their length.
        max_concurrency: requests of max_model_len tokens at once.
    """

    num_blocks: int
    tokens: int
    max_concurrency: float


@dataclass(frozen=True, slots=True)
class StageCache:
    """KV cache of the ranks of one pipeline stage.

    Attributes:
        bytes_per_block: bytes of one block over the layers it holds.
        blocks_per_request: blocks that a request of max_model_len tokens takes.
    """

    block_size: int
    bytes_per_block: int
    blocks_per_request: int

    def need(self, concurrency: int) -> KvCacheNeed:
        """Bytes for one request, for the start-up check and for a number of full-length requests."""
        request = self.bytes_per_block * self.blocks_per_request
        return KvCacheNeed(
            block_size=self.block_size,
            bytes_per_block=self.bytes_per_block,
            one_request_bytes=request,
            min_bytes_to_start=request + self.bytes_per_block,
            requested_bytes=request * concurrency + self.bytes_per_block,
        )


def stage_caches(facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion) -> tuple[StageCache, ...]:
    """KV cache of every pipeline stage; a stage without layers that keep anything takes no bytes."""
    dtype = kv_dtype(facts, config, gpu)
    size = block_size(facts, config, gpu, dtype)
    packed = any(group.page_alignment > 1 for group in facts.attention)
    found = groups(tuple(_kept(facts, config, version, dtype, size)), packed)
    blocks = sum(group.blocks for group in found)
    stages = stage_layers(facts.num_layers, config.pipeline_parallel_size)
    per_stage = [max((group.bytes_per_block(layers) for group in found), default=0) for layers in stages]
    return tuple(StageCache(size, held, blocks if held else 0) for held in per_stage)


def _kept(
    facts: ModelFacts, config: EngineConfig, version: EngineVersion, dtype: str, size: int
) -> Iterator[tuple[LayerCache, tuple[int, ...]]]:
    """What layers keep, with the layers that keep it."""
    promoted = _promotes_windows(facts, config, version)
    skipped = _skipped(facts, dtype)
    for group in facts.attention:
        if group.kind is AttentionKind.MAMBA:
            yield _state(facts, group, config, _padded_page(facts, config, dtype, size)), group.layers
        elif group.keeps_cache:
            for name, layers in (
                (dtype, tuple(layer for layer in group.layers if layer not in skipped)),
                (config.dtype, tuple(layer for layer in group.layers if layer in skipped)),
            ):
                if layers:
                    yield _attention(group, config, version, name, size, promoted), layers


def _promotes_windows(facts: ModelFacts, config: EngineConfig, version: EngineVersion) -> bool:
    """Whether layers with a window keep the whole context: only beside layers that do, without the hybrid manager."""
    kinds = {group.kind for group in facts.attention}
    if not kinds & {AttentionKind.FULL, AttentionKind.MLA}:
        return False
    chunks_kept_whole = AttentionKind.CHUNKED_LOCAL in kinds and not version.chunked_hybrid
    return config.disable_hybrid_kv_cache_manager or chunks_kept_whole


def _skipped(facts: ModelFacts, dtype: str) -> frozenset[int]:
    if not is_turboquant(dtype) or facts.is_hybrid:
        return frozenset()
    count = min(_TURBOQUANT_SKIPPED, facts.num_layers // 2)
    return frozenset((*range(count), *range(facts.num_layers - count, facts.num_layers)))


def _padded_page(facts: ModelFacts, config: EngineConfig, dtype: str, size: int) -> int:
    """A state's page is padded to that of the attention layers it shares the pool with."""
    return max(
        (
            size * token_bytes(group, config, dtype)
            for group in facts.attention
            if group.keeps_cache and group.kind is not AttentionKind.MAMBA
        ),
        default=0,
    )


def _state(facts: ModelFacts, group: AttentionGroup, config: EngineConfig, padded: int) -> LayerCache:
    # vLLM caches prefixes of hybrids unless told not to or a pooler needs the whole prompt, those of models without any
    # attention only when told to (config/model.py, is_prefix_caching_supported).
    caches_prefixes = config.enable_prefix_caching
    if caches_prefixes is None:
        attends = any(kept.kind is not AttentionKind.MAMBA for kept in facts.attention)
        caches_prefixes = attends and not facts.whole_prompt
    states = _STATES_WITH_PREFIX_CACHING + group.checkpoint_blocks if caches_prefixes else _STATES
    page = max(state_bytes(group, config), padded)
    return LayerCache(AttentionKind.MAMBA, 0, page, 0, states, layout=(group.states,))


def _attention(
    group: AttentionGroup, config: EngineConfig, version: EngineVersion, dtype: str, size: int, promoted: bool
) -> LayerCache:
    kind, window = group.kind, group.sliding_window
    length, extra = config.max_model_len, 0
    if promoted and kind is not AttentionKind.MLA and kind is not AttentionKind.CROSS:
        kind, window = AttentionKind.FULL, None
    if kind in _WINDOWED and window is not None:
        length, extra = min(window - 1 + _in_flight(config, version), length), 1
    elif kind is AttentionKind.CHUNKED_LOCAL and group.attention_chunk_size is not None:
        length = min(group.attention_chunk_size + _in_flight(config, version), length)
    elif kind is AttentionKind.CROSS:
        # The encoder's batch is as long as the decoder's, or as its longest item (config/scheduler.py).
        length = max(config.max_num_batched_tokens, group.max_tokens or 0)
    heads = local_heads(group.num_kv_heads, config.tensor_parallel_size)
    layout = (heads, group.head_size, group.head_size_v, group.fixed_dtype or dtype, group.is_indexer)
    size = group.block_size or size
    page = size // group.tokens_per_state * token_bytes(group, config, dtype)
    return LayerCache(kind, size, round_up(page, group.page_alignment), length, extra, window, layout)


def _in_flight(config: EngineConfig, version: EngineVersion) -> int:
    """Tokens that may be scheduled and not yet settled: a batch for each step under way."""
    batches = config.pipeline_parallel_size + 1 if version.async_scheduling else config.pipeline_parallel_size
    return batches * config.max_num_batched_tokens


def pool(cache: StageCache, available_bytes: int, max_model_len: int) -> Pool:
    """The cache that fits into the bytes that are left; empty if nothing fits."""
    if cache.bytes_per_block == 0 or available_bytes <= 0:
        return Pool(0, 0, 0.0)
    blocks = available_bytes // cache.bytes_per_block
    return Pool(blocks, blocks * max_model_len // cache.blocks_per_request, blocks / cache.blocks_per_request)
