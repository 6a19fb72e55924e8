"""Data type that a router's weight is kept in.

Source: vLLM 0.32 layers/fused_moe/router/gate_linear.py (`GateLinear`, `force_fp32_compute`).
"""

from modelserving.engine.device import Gpu
from modelserving.models.facts import Module

# Capabilities with kernels that compute float32 scores from a 16-bit weight: 9.0 and the family of 10.
_HOPPER, _BLACKWELL = (9, 0), 10


def router_dtype(module: Module, gpu: Gpu | None) -> str | None:
    """Data type of a module where the model's does not decide.

    Args:
        module: the module.
        gpu: the GPU; None for one nobody named, which is taken for Hopper.
    """
    if not module.float32_product or gpu is None:
        return module.fixed_dtype
    capability = gpu.compute_capability
    return module.fixed_dtype if capability == _HOPPER or capability[0] == _BLACKWELL else "float32"
