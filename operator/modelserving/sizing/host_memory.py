"""Host memory of one replica's processes on its node.

    1 GiB for API server and engine core + 3 GiB a GPU worker (CUDA context, PyTorch, pinned staging buffers)
    + offloaded weights, pinned: PyTorch's pinned allocator rounds every block up to a power of two

Source: resident sizes of vLLM 0.32 processes (API server 0.55, core 0.52, CPU worker 0.55 GiB; 1.5 to 3 GiB with CUDA), and
PyTorch c10/core/CachingHostAllocator.h. The checkpoint's files are mapped, not copied.
"""

from collections.abc import Iterable

from modelserving.units import GIB

_SERVER_BYTES = 1 * GIB
_WORKER_BYTES = 3 * GIB


def pinned_bytes(tensors: Iterable[int]) -> int:
    """Bytes that tensors take in pinned host memory."""
    return sum(1 << (num_bytes - 1).bit_length() for num_bytes in tensors if num_bytes > 0)


def host_memory(ranks: int, pinned: int, largest_module: int, engines: int = 1) -> int:
    """Host memory of a replica.

    Args:
        ranks: GPU workers on the node.
        pinned: bytes of offloaded weights over all of them.
        largest_module: bytes of the largest module that is buffered while it is quantized on the fly, a worker.
        engines: engine cores, each with an API server (`--api-server-count` follows `--data-parallel-size`).
    """
    return engines * _SERVER_BYTES + ranks * (_WORKER_BYTES + largest_module) + pinned
