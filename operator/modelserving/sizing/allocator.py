"""What torch's CUDA caching allocator charges for a tensor, which is what vLLM logs as "Model loading took".

Source: PyTorch c10/cuda/CUDACachingAllocator.cpp (kMinBlockSize, kMinLargeAlloc, kRoundLarge, kSmallBuffer); held against vLLM
0.32's own module sizes and the weights that real starts logged (14.9888 GiB for Llama-3.1-8B).
"""

from modelserving.units import MIB, round_up

_MIN_BLOCK = 512
# From this size on an allocation gets a segment of its own, rounded up to 2 MiB.
_MIN_LARGE = 10 * MIB
_LARGE_ROUNDING = 2 * MIB
# A remainder above this is split off and used by others …
_SMALL_REMAINDER = MIB
# … except under max_split_size_mb=20, with which vLLM loads since 0.32: larger blocks stay whole.
_MAX_SPLIT = 20 * MIB


def allocated(num_bytes: int, never_splits_large: bool) -> int:
    """Bytes charged for one tensor.

    Args:
        num_bytes: bytes of the tensor.
        never_splits_large: whether blocks above 20 MiB are kept whole (EngineVersion.never_splits_large).
    """
    block = round_up(num_bytes, _MIN_BLOCK)
    if block < _MIN_LARGE:
        return block
    segment = round_up(block, _LARGE_ROUNDING)
    if never_splits_large and segment > _MAX_SPLIT:
        return segment
    return segment if segment - block <= _SMALL_REMAINDER else block
