"""CUDA graphs: what vLLM captures, and what it sets aside for that.

    sizes 1, 2, 4, then steps of 8 to 248, then of 16 up to min(2 R, 512)      (1024 on compute capability 10)
    bytes = 0.358 GiB + (0.0064 L + 1.04e-6 L H + 1.11e-5 I / tp) GiB x sizes / 51

Source: vLLM 0.32 config/vllm.py `_set_cudagraph_sizes`; the bytes are fitted to 28 starts of dense models on H100 with vLLM
0.19 (mean error 0.07 GiB, worst 0.20) and hold for 5 sizes too (0.41 against 0.33 GiB logged). What is taken out of the
KV cache is vLLM's own estimate, 0.7 to 2.2 times the real figure; before 0.20 it was not taken out at all.
"""

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts
from modelserving.sizing.budget import Term
from modelserving.units import GIB

_SMALLEST = (1, 2, 4)
_FINE_STEP = 8
_COARSE_FROM = 256
_COARSE_STEP = 16
_LARGEST = 512
_LARGEST_WIDE = 1024
_WIDE_CAPABILITY = 10
# Sizes captured where the factors were fitted.
_FITTED_SIZES = 51
_CONSTANT_GIB = 0.358
_PER_LAYER_GIB = 0.0064
_PER_LAYER_HIDDEN_GIB = 1.04e-6
_PER_INTERMEDIATE_GIB = 1.11e-5
# One start logged a quarter of the fit (Llama-3.1-8B, A100, 0.31); estimates reached 2.2 times the real figure.
_LOW = 0.25
_HIGH = 2.2


def capture_sizes(config: EngineConfig, gpu: Gpu, version: EngineVersion) -> int:
    """How many batch sizes vLLM captures graphs for; 0 with enforce_eager."""
    if config.enforce_eager:
        return 0
    wide = version.wide_graphs and gpu.compute_capability[0] == _WIDE_CAPABILITY
    largest = min(2 * config.max_num_seqs, _LARGEST_WIDE if wide else _LARGEST)
    small = sum(size <= largest for size in _SMALLEST)
    fine = len(range(_FINE_STEP, min(largest + 1, _COARSE_FROM), _FINE_STEP))
    return small + fine + len(range(_COARSE_FROM, largest + 1, _COARSE_STEP))


def captured_bytes(facts: ModelFacts, config: EngineConfig, layers: int, sizes: int) -> int:
    """Bytes that captured graphs really take on a rank with so many layers."""
    if sizes == 0:
        return 0
    per_sizes = (
        _PER_LAYER_GIB * layers
        + _PER_LAYER_HIDDEN_GIB * layers * facts.hidden_size
        + _PER_INTERMEDIATE_GIB * facts.intermediate_size / config.tensor_parallel_size
    )
    return int((_CONSTANT_GIB + per_sizes * sizes / _FITTED_SIZES) * GIB)


def cuda_graphs(facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion, layers: int) -> Term:
    """What CUDA graphs take from the budget on a rank with so many layers."""
    sizes = capture_sizes(config, gpu, version)
    if sizes == 0:
        return Term.exact(0, "enforce_eager: no CUDA graphs")
    if not version.counts_cuda_graphs:
        return Term.exact(0, f"vLLM {version.text} captures CUDA graphs outside the budget")
    value = captured_bytes(facts, config, layers, sizes)
    return Term(value, int(value * _LOW), int(value * _HIGH), f"{sizes} captured sizes, fitted to logged starts")
