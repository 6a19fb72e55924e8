"""What vLLM accepts and then has no kernel for."""

import pytest

from modelserving.engine.device import Gpu
from modelserving.engine.missing_kernels import missing_kernel
from modelserving.units import GIB
from planning_cases import facts

HOPPER = Gpu("NVIDIA-H100-80GB-HBM3", 79 * GIB, (9, 0))
BLACKWELL = Gpu("NVIDIA-B200", 178 * GIB, (10, 0))


def test_int8_weights_and_activations_end_on_blackwell() -> None:
    found = missing_kernel(facts("mistral-small31-24b-w8a8"), BLACKWELL)
    assert found is not None
    assert found.reason == "QuantizationNeedsOlderGpu"
    assert "NVIDIA-B200" in found.message
    assert "Use fp8" in found.message
    assert missing_kernel(facts("mistral-small31-24b-w8a8"), HOPPER) is None


@pytest.mark.parametrize("model", ["llama31-8b", "llama31-8b-awq", "llama31-8b-ct-fp8", "mistral-small-31-w4a16"])
def test_what_multiplies_in_16_bits_or_fp8_does_not(model: str) -> None:
    assert missing_kernel(facts(model), BLACKWELL) is None
