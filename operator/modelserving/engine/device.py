"""What vLLM sees of one GPU."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Gpu:
    """One GPU as the engine sees it.

    Attributes:
        product: `nvidia.com/gpu.product` label, e.g. `NVIDIA-H100-80GB-HBM3`.
        memory_total_bytes: what cudaMemGetInfo reports as total, in bytes: less than the driver's label, which counts what it reserves.
        compute_capability: (major, minor).
    """

    product: str
    memory_total_bytes: int
    compute_capability: tuple[int, int]
