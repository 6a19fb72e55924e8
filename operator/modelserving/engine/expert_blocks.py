"""Which GPUs have a kernel for routed experts in block-scaled fp8.

Source: vLLM 0.32 layers/fused_moe/oracle/fp8.py (`select_fp8_moe_backend`) and `_supports_quant_scheme` of the kernels.
"""

from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.device import Gpu
from modelserving.engine.expert_kernels import expert_block
from modelserving.engine.quantization import capability_number
from modelserving.engine.shares import share
from modelserving.models.facts import ModelFacts

# Marlin, all there is before Ada, takes blocks of this size alone; Triton's kernel takes any (experts/triton_moe.py).
_MARLIN_BLOCK = (128, 128)
_ANY_BLOCK_CAPABILITY = 89


def expert_blocks_objection(facts: ModelFacts, config: EngineConfig, gpu: Gpu) -> EngineRefusal | None:
    """Why no kernel of the GPU takes the blocks that a rank's experts are scaled by, or None."""
    if capability_number(gpu) >= _ANY_BLOCK_CAPABILITY:
        return None
    stored = facts.stored_quantization
    for section in facts.sections:
        for module in section.modules:
            scheme = module.scheme or stored
            if not (module.experts and module.quantized) or scheme is None or scheme.block_shape is None:
                continue
            part = share(module, config.expert_ranks, config.enable_expert_parallel)
            block = expert_block(module, part, scheme.block_shape)
            if block != _MARLIN_BLOCK:
                return EngineRefusal(
                    "QuantizationNeedsNewerGpu",
                    f"each of {config.expert_ranks} GPUs has experts scaled by blocks of {block[0]} x {block[1]}, and "
                    f"before compute capability {_ANY_BLOCK_CAPABILITY / 10:.1f} there is a kernel for blocks of 128 x 128 "
                    f"alone; {gpu.product} has {capability_number(gpu) / 10:.1f}. Use fewer GPUs per replica, or newer ones.",
                )
    return None
