"""What the driver, NCCL and libraries take inside the budget, besides PyTorch's own allocations.

Not derivable from the model: measured, by vLLM version, GPU and parallelism. The 2 GiB between ranks of one node are the
buffers of FlashInfer's fused all-reduce, which exists for compute capability 9 and 10 only.
"""

from dataclasses import dataclass

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.sizing.budget import Term
from modelserving.units import GIB

_FUSED_ALL_REDUCE = (9, 10)
# A100 and data-centre chips after it, which most logs are from. On others one GPU took 0.06 to 0.43 GiB (A10G, RTX 3090, a card
# of 24 GB), and one start on RTX 3090 left 0.6 GiB less than all its terms explain (Qwen2.5-7B-AWQ, 0.22).
_MEASURED_CHIPS = ((8, 0), (9, 0), (10, 0), (10, 3))
_OTHER_CHIPS_HIGH = 0.9


@dataclass(frozen=True, slots=True)
class _Measured:
    """GiB on each rank since a version.

    Attributes:
        since: first version the figures hold for.
        alone: (value, low, high) of one GPU.
        stages: of pipeline stages of one GPU each.
        pair, more: of two and of more tensor-parallel ranks with the fused all-reduce.
        other: of several ranks without it.
    """

    since: tuple[int, int, int]
    alone: tuple[float, float, float]
    stages: tuple[float, float, float]
    pair: tuple[float, float, float]
    more: tuple[float, float, float]
    other: tuple[float, float, float]


_WITHOUT_FUSION = (0.55, 0.2, 1.2)
# 0.8 to 0.17: H100, 13 starts (alone 0.13 to 0.14; two ranks 0.55), other GPUs 0.01 to 0.43.
# 0.18 to 0.27: DEBUG logs of 0.18 and 0.19 on H100, 34 starts (alone 0.24 to 0.26, Granite 0.46; stages 0.07; two ranks 2.06 to
# 2.07, four 2.13 to 2.21).
# 0.28 on: what was consumed besides weights and the runner's buffers; A100 0.13, one of 24 GB 0.15; H200 with 8 ranks 1.4,
# two RTX 5090 0.35.
_TABLE = (
    _Measured((0, 0, 0), (0.13, 0.0, 0.5), (0.13, 0.0, 0.5), _WITHOUT_FUSION, _WITHOUT_FUSION, _WITHOUT_FUSION),
    _Measured((0, 18, 0), (0.25, 0.01, 0.5), (0.07, 0.01, 0.5), (2.07, 0.3, 2.3), (2.17, 0.3, 2.5), _WITHOUT_FUSION),
    _Measured((0, 28, 0), (0.2, 0.01, 0.5), (0.1, 0.01, 0.5), (2.07, 0.3, 2.3), (2.17, 0.3, 2.5), _WITHOUT_FUSION),
)


def non_torch(config: EngineConfig, gpu: Gpu, version: EngineVersion) -> Term:
    """Bytes on each rank."""
    measured = next(row for row in reversed(_TABLE) if row.since <= version.number)
    ranks = config.tensor_parallel_size
    if config.expert_ranks == 1:
        figures = measured.alone if config.pipeline_parallel_size == 1 else measured.stages
        if gpu.compute_capability not in _MEASURED_CHIPS:
            figures = (*figures[:2], _OTHER_CHIPS_HIGH)
    elif ranks == 1 or gpu.compute_capability[0] not in _FUSED_ALL_REDUCE:
        # Engines of one GPU gather tokens over NCCL, as ranks without the fused all-reduce do.
        figures = measured.other
    else:
        figures = measured.pair if ranks == 2 else measured.more
    value, low, high = (int(figure * GIB) for figure in figures)
    return Term(value, low, high, f"measured, tensor parallel {ranks}, since vLLM {_text(measured.since)}")


def _text(number: tuple[int, int, int]) -> str:
    return f"{number[0]}.{number[1]}" if any(number) else "0.8"
