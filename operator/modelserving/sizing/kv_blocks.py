"""Tokens in a block of the KV cache: what the attention kernels take, and what layers that share a pool agree on.

    hybrid: the smallest multiple of the kernel's block whose attention page holds a recurrent layer's state
    mixed types (TurboQuant leaves the outer layers as they are): the same for the larger page

Source: vLLM 0.32 platforms/interface.py `update_block_size_for_backend`, platforms/cuda.py `_get_backend_priorities`,
`get_supported_kernel_block_sizes` of the backends in v1/attention/backends/.
"""

from modelserving.engine.batching import is_prefix_lm
from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.shares import local_heads
from modelserving.models.facts import AttentionGroup, AttentionKind, ModelFacts
from modelserving.sizing.kv_dtype import content_bytes, is_quantized, is_turboquant
from modelserving.sizing.layouts import DTYPE_BYTES
from modelserving.units import ceil_div

# What FlashAttention, FlashInfer, Triton and FLASH_ATTN_MLA take unless told otherwise.
DEFAULT_BLOCK_SIZE = 16
_FLASHMLA = 64
_FLASHINFER_MLA = 32
_CUTLASS_MLA = 128
# Attention on chosen blocks (MiniMax M3): models/minimax_m3, the size of such a block.
_SPARSE_BLOCK = 128
# The indexer's kernels, which sparse MLA shares its block with.
_SPARSE_MLA = 64
# FlashInfer's MLA kernels exist for these sizes of a query head's part without rotary embedding.
_FLASHINFER_MLA_HEADS = (64, 128, 192)
_HOPPER = 9
# FlashAttention 4 on Hopper dequantizes an fp8 cache of heads of this size in pages of 64 tokens (backends/flash_attn.py).
_WIDEST_HEAD = 512
_WIDE_HEAD_PAGE = 64
# Where images attend both ways, Triton and FlashInfer share a cache of such heads in the same pages (backends/triton_flashinfer.py).
_TWO_WAY_HEADS = (256, 512)
_DATA_CENTER_BLACKWELL = 10
# Hybrids of MLA and recurrent layers use whole multiples of this.
_HYBRID_MLA_MULTIPLE = 128


def state_bytes(group: AttentionGroup, config: EngineConfig) -> int:
    """Bytes of a recurrent layer's state for one request on a rank."""
    return sum(
        state.elements(config.tensor_parallel_size) * DTYPE_BYTES[state.dtype or config.dtype] for state in group.states
    )


def token_bytes(group: AttentionGroup, config: EngineConfig, dtype: str) -> int:
    """Bytes that one token keeps in one attention layer on a rank."""
    heads = local_heads(group.num_kv_heads, config.tensor_parallel_size)
    return heads * content_bytes(group.head_size, group.head_size_v, group.fixed_dtype or dtype)


def kernel_block(facts: ModelFacts, gpu: Gpu, dtype: str) -> int:
    """Tokens in a block by the attention backend that vLLM picks on a GPU."""
    latent, family = facts.latent_attention, gpu.compute_capability[0]
    if latent is None:
        widest = max((group.head_size for group in facts.attention if group.keeps_cache), default=0)
        paged = family == _HOPPER and dtype in ("fp8", "fp8_e4m3") and widest == _WIDEST_HEAD
        two_ways = family == _DATA_CENTER_BLACKWELL and is_prefix_lm(facts) and widest in _TWO_WAY_HEADS
        if any(group.is_indexer for group in facts.attention):
            return _SPARSE_BLOCK
        return _WIDE_HEAD_PAGE if paged or two_ways else DEFAULT_BLOCK_SIZE
    if latent.index_topk is not None:
        return _SPARSE_MLA
    if family == _DATA_CENTER_BLACKWELL:
        return _FLASHINFER_MLA if latent.qk_nope_head_dim in _FLASHINFER_MLA_HEADS else _CUTLASS_MLA
    return _FLASHMLA if family == _HOPPER and is_quantized(dtype) else DEFAULT_BLOCK_SIZE


def block_size(facts: ModelFacts, config: EngineConfig, gpu: Gpu, dtype: str) -> int:
    """Tokens in a block of an attention layer that keeps the whole context."""
    kernel = kernel_block(facts, gpu, dtype)
    size = config.block_size or kernel
    largest_state = max((state_bytes(group, config) for group in facts.attention), default=0)
    attention = [group for group in facts.attention if group.keeps_cache and group.kind is not AttentionKind.MAMBA]
    if largest_state and attention:
        step = max(kernel, size, _HYBRID_MLA_MULTIPLE if facts.latent_attention is not None else 0)
        page = step * token_bytes(attention[0], config, dtype)
        size = max(size, step * ceil_div(largest_state, page))
    elif is_turboquant(dtype) and attention:
        plain, packed = (token_bytes(attention[0], config, name) for name in (config.dtype, "uint8"))
        size = max(size, size * ceil_div(plain * kernel, size * packed))
    return size
