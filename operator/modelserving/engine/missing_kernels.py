"""What vLLM accepts, loads, and then has no kernel for: its own checks pass, and the first forward pass ends the engine."""

from modelserving.engine.config import EngineRefusal
from modelserving.engine.device import Gpu
from modelserving.engine.quantization import capability_number
from modelserving.models.facts import ModelFacts

# csrc/libtorch_stable/quantization/w8a8/cutlass/c3x/scaled_mm_helper.hpp ("Int8 not supported on SM100 … run on older arch"); vLLM
# documentation, INT8 W8A8: "not supported on compute capability >= 10.0".
_NO_INT8_CAPABILITY = 100


def missing_kernel(facts: ModelFacts, gpu: Gpu) -> EngineRefusal | None:
    """Say which kernel a checkpoint needs that this GPU has none of; None where it has all."""
    stored = facts.stored_quantization
    in_int8 = stored is not None and stored.bits == 8 and not stored.is_float and stored.dynamic_activations is not None
    if in_int8 and capability_number(gpu) >= _NO_INT8_CAPABILITY:
        return EngineRefusal(
            "QuantizationNeedsOlderGpu",
            f"vLLM has no kernel for int8 weights and activations on compute capability 10.0 or newer, which {gpu.product} has. "
            "Use fp8.",
        )
    return None
