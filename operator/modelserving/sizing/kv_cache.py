"""KV cache: bytes of a block, bytes of a request, what vLLM demands before it starts.

    page(layer)    = block_size x local KV heads x (key head + value head) x element
    full attention = ceil(max_model_len / block_size) pages a request
    sliding window = ceil(min(window - 1 + in flight, max_model_len) / block_size) + 1 pages

Layers of different kinds are put into groups of equal size, padded; a block holds one group's pages, and a request takes
the blocks of every group. One block, the null block, is never given out.

Source: vLLM 0.32 v1/kv_cache_interface.py, v1/core/kv_cache_utils.py (`_get_kv_cache_groups_uniform_page_size`,
`_max_memory_usage_bytes_from_groups`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from modelserving.engine.config import EngineConfig
from modelserving.engine.shares import local_heads
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import AttentionGroup, AttentionKind, ModelFacts
from modelserving.sizing.budget import KvCacheNeed
from modelserving.sizing.layouts import DTYPE_BYTES
from modelserving.sizing.sharding import stage_layers
from modelserving.units import ceil_div

# What FlashAttention, FlashInfer and Triton take unless told otherwise (platforms/interface.py).
DEFAULT_BLOCK_SIZE = 16
# Bytes of an element by --kv-cache-dtype (v1/kv_cache_interface.py); nvfp4 with its scales.
_ELEMENT_BYTES: Mapping[str, Fraction] = {
    "float16": Fraction(2),
    "bfloat16": Fraction(2),
    "fp8": Fraction(1),
    "fp8_e4m3": Fraction(1),
    "fp8_e5m2": Fraction(1),
    "int8_per_token_head": Fraction(1),
    "fp8_per_token_head": Fraction(1),
    "int4_per_token_head": Fraction(1, 2),
    "nvfp4": Fraction(9, 16),
}
# One float32 scale each for the key and the value of a head and token, with the per_token_head types.
_SCALE_BYTES_PER_HEAD = 8
# Groups are as large as the smallest kind, or as the largest where kinds differ by less than this.
_GROUP_STRETCH = 1.5


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


def kv_dtype(facts: ModelFacts, config: EngineConfig) -> str:
    """Data type of the cache: as asked, else what the checkpoint brings scales for, else the model's."""
    if config.kv_cache_dtype != "auto":
        return config.kv_cache_dtype
    stored = facts.stored_quantization
    return (stored.kv_cache_scheme if stored is not None else None) or config.dtype


def page_bytes(group: AttentionGroup, block_size: int, tensor_parallel_size: int, dtype: str) -> int:
    """Bytes of one block of one layer on a rank."""
    heads = local_heads(group.num_kv_heads, tensor_parallel_size)
    element = _ELEMENT_BYTES.get(dtype) or Fraction(DTYPE_BYTES[dtype])
    scales = _SCALE_BYTES_PER_HEAD if dtype.endswith("per_token_head") else 0
    return block_size * heads * (int((group.head_size + group.head_size_v) * element) + scales)


def stage_cache(facts: ModelFacts, config: EngineConfig, version: EngineVersion, stage: int) -> StageCache:
    """KV cache of a pipeline stage; one without attention layers takes no bytes."""
    block_size = config.block_size or DEFAULT_BLOCK_SIZE
    dtype = kv_dtype(facts, config)
    layers = stage_layers(facts.num_layers, config.pipeline_parallel_size)[stage]
    held = [
        (group, count)
        for group in facts.attention
        if (count := sum(layers.start <= index < layers.stop for index in group.layers))
    ]
    if not held:
        return StageCache(block_size, 0, 0)
    page = max(page_bytes(group, block_size, config.tensor_parallel_size, dtype) for group, _ in held)
    size = _group_size([count for _, count in held])
    blocks = sum(ceil_div(count, size) * _pages(group, config, version, block_size) for group, count in held)
    return StageCache(block_size, page * size, blocks)


def _group_size(counts: list[int]) -> int:
    smallest, largest = min(counts), max(counts)
    return largest if largest < smallest * _GROUP_STRETCH else smallest


def _pages(group: AttentionGroup, config: EngineConfig, version: EngineVersion, block_size: int) -> int:
    length = config.max_model_len
    if group.kind is AttentionKind.SLIDING_WINDOW and group.sliding_window is not None:
        batches = config.pipeline_parallel_size + 1 if version.async_scheduling else config.pipeline_parallel_size
        window = group.sliding_window - 1 + batches * config.max_num_batched_tokens
        return ceil_div(min(window, length), block_size) + 1
    return ceil_div(length, block_size)


def pool(cache: StageCache, available_bytes: int, max_model_len: int) -> Pool:
    """The cache that fits into the bytes that are left; empty if nothing fits."""
    if cache.bytes_per_block == 0 or available_bytes <= 0:
        return Pool(0, 0, 0.0)
    blocks = available_bytes // cache.bytes_per_block
    return Pool(blocks, blocks * max_model_len // cache.blocks_per_request, blocks / cache.blocks_per_request)
