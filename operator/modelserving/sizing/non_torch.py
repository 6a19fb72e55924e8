"""What the driver, NCCL and libraries take inside the budget, besides PyTorch's own allocations.

Not derivable from the model: measured, by vLLM version and parallelism. Source: DEBUG logs of vLLM 0.19 on H100 (29 starts;
tensor parallel 1: 0.24-0.46, 2: 2.06-2.07, 4: 2.13-2.21, pipeline parallel without tensor parallel: 0.07 GiB), of 0.11 to
0.17 (0.13), and starts on other GPUs and versions (0.01-0.5 at tensor parallel 1).
"""

from modelserving.engine.config import EngineConfig
from modelserving.engine.versions import EngineVersion
from modelserving.sizing.budget import Term
from modelserving.units import GIB

# From this version on the figures of 0.19 hold.
_MEASURED_SINCE = (0, 18, 0)


def non_torch(config: EngineConfig, version: EngineVersion) -> Term:
    """Bytes on each rank."""
    value, low, high = _measured(config, version)
    source = f"measured, tensor parallel {config.tensor_parallel_size}"
    return Term(int(value * GIB), int(low * GIB), int(high * GIB), source)


def _measured(config: EngineConfig, version: EngineVersion) -> tuple[float, float, float]:
    """(value, low, high) in GiB."""
    ranks = config.tensor_parallel_size
    if version.number < _MEASURED_SINCE:
        return (0.13, 0.01, 0.5) if ranks == 1 else (0.55, 0.3, 2.2)
    if ranks == 1:
        return (0.25, 0.01, 0.5) if config.pipeline_parallel_size == 1 else (0.07, 0.01, 0.5)
    return (2.07, 0.3, 2.3) if ranks == 2 else (2.17, 0.3, 2.5)
