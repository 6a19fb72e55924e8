"""CUDA graphs: what vLLM captures, what that really takes, and what it sets aside for it.

    sizes    1, 2, 4, then steps of 8 to 248, then of 16 up to min(2 R, 512), and R itself
             (1024 on compute capability 10 and for gpt-oss)
    captured 0.358 GiB + (0.0064 L + 1.04e-6 L H + 1.11e-5 I / tp) GiB x sizes / 51,
             + 0.5 GiB with experts, + 0.4 GiB with latent attention
    set aside since 0.20: vLLM's own estimate, 0.8 of that on the V1 runner, 1.4 on the V2 runner

Source: vLLM 0.32 config/vllm.py `_set_cudagraph_sizes`, models/config.py (gpt-oss), v1/worker/gpu/cudagraph_utils.py. Captured
bytes: 33 starts on H100 with vLLM 0.19 (median error 5.5 %, worst 18 %), the constants for experts and latent attention from
logs of five models. How far that holds elsewhere is the band of `captured`: on the V2 runner A100, RTX 5090 and GB10 took 0.2
to 0.8 of it; with 0.8 to 0.11 A10G, A100, H20 and H100 took a tenth to three times. Set aside, V1: 39 estimates logged by 0.18
and 0.19, of which 36 lie within the band, two far above it (1.6 and 1.7 GiB); V2: Llama-3.1-8B on A100 with 0.31 (1.21 GiB), a
model of 51 GiB with 64 layers (1.94). Before 0.20 nothing was set aside: graphs lie outside the budget.
"""

from functools import lru_cache

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts
from modelserving.sizing.budget import Term
from modelserving.sizing.runner import runs_second
from modelserving.units import GIB

_SMALLEST = (1, 2, 4)
_FINE_STEP = 8
_COARSE_FROM = 256
_COARSE_STEP = 16
_LARGEST = 512
_LARGEST_WIDE = 1024
_WIDE_CAPABILITY = 10
# models/config.py, GptOssForCausalLMConfig.
_WIDE_ARCHITECTURE = "GptOssForCausalLM"
# Sizes captured where the factors were fitted.
_FITTED_SIZES = 51
_CONSTANT_GIB = 0.358
_PER_LAYER_GIB = 0.0064
_PER_LAYER_HIDDEN_GIB = 1.04e-6
_PER_INTERMEDIATE_GIB = 1.11e-5
_EXPERTS_GIB = 0.5
_LATENT_GIB = 0.4
# What vLLM sets aside, as (best estimate, low, high) shares of what is captured.
_FIRST_RUNNER = (0.8, 0.55, 1.1)
_SECOND_RUNNER = (1.4, 0.6, 1.7)
# What graphs really take, as shares of what is captured by the formula: V1 where it was fitted, V1 before 0.12, V2.
_CAPTURED = (1.0, 0.7, 1.35)
_CAPTURED_EARLY = (0.8, 0.1, 3.0)
_CAPTURED_SECOND = (0.7, 0.15, 1.6)
_EARLY_BEFORE = (0, 12, 0)
# The first engine: graphs of decoding only. 0.4 to 0.8 GiB on A10G, H100 and a card of 22 GiB, 2.4 between four RTX 4090.
_FIRST_ENGINE_GIB = (0.5, 0.2, 2.5)
# On the V2 runner few sizes cost little: with 3 of them it set aside 0.13 GiB (model of 64 layers, two RTX 5090).
_SECOND_RUNNER_BASE = 0.08


def capture_sizes(facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion) -> int:
    """How many batch sizes vLLM captures graphs for; 0 with enforce_eager."""
    if config.enforce_eager:
        return 0
    if facts.architecture == _WIDE_ARCHITECTURE:
        largest = _LARGEST_WIDE
    else:
        wide = version.wide_graphs and gpu.compute_capability[0] == _WIDE_CAPABILITY
        largest = min(2 * config.max_num_seqs, _LARGEST_WIDE if wide else _LARGEST)
    return _sizes_up_to(min(largest, config.max_num_batched_tokens), config.max_num_batched_tokens, config.max_num_seqs)


@lru_cache(maxsize=256)
def _sizes_up_to(largest: int, tokens: int, sequences: int) -> int:
    """Counted once for each batch: a plan asks for the same one hundreds of times."""
    sizes = {size for size in _SMALLEST if size <= largest}
    sizes.update(range(_FINE_STEP, min(largest + 1, _COARSE_FROM), _FINE_STEP))
    sizes.update(range(_COARSE_FROM, largest + 1, _COARSE_STEP))
    # A whole batch, of tokens or of sequences, is captured even where it lies between the steps.
    sizes.update(size for size in (tokens, sequences) if size <= largest)
    return len(sizes)


def captured_bytes(facts: ModelFacts, config: EngineConfig, layers: int, sizes: int) -> int:
    """Bytes that captured graphs really take on a rank with so many layers."""
    if sizes == 0:
        return 0
    per_sizes = _PER_LAYER_GIB * layers + _PER_LAYER_HIDDEN_GIB * layers * facts.hidden_size
    constant = _CONSTANT_GIB
    if facts.experts is None:
        per_sizes += _PER_INTERMEDIATE_GIB * facts.intermediate_size / config.tensor_parallel_size
    else:
        constant += _EXPERTS_GIB
    if facts.latent_attention is not None:
        constant += _LATENT_GIB
    return int((constant + per_sizes * sizes / _FITTED_SIZES) * GIB)


def cuda_graphs(facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion, layers: int) -> Term:
    """What CUDA graphs take from the budget on a rank with so many layers."""
    sizes = capture_sizes(facts, config, gpu, version)
    if sizes == 0:
        return Term.exact(0, "enforce_eager: no CUDA graphs")
    if not version.counts_cuda_graphs:
        return Term.exact(0, f"vLLM {version.text} captures CUDA graphs outside the budget")
    source = f"set aside for {sizes} captured sizes, fitted to logs"
    shares = _SECOND_RUNNER if runs_second(facts, version) else _FIRST_RUNNER
    whole = _by_sizes(facts, config, version, layers, sizes)
    value, low, high = (int(whole * share) for share in shares)
    return Term(value, low, high, source)


def captured(facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion, layers: int) -> Term:
    """What CUDA graphs really take on a rank with so many layers, within the budget or outside, as vLLM logs it."""
    sizes = capture_sizes(facts, config, gpu, version)
    if sizes == 0:
        return Term.exact(0, "enforce_eager: no CUDA graphs")
    if version.first_engine:
        value, low, high = (int(figure * GIB) for figure in _FIRST_ENGINE_GIB)
    else:
        shares = _CAPTURED_EARLY if version.number < _EARLY_BEFORE else _CAPTURED
        if runs_second(facts, version):
            shares = _CAPTURED_SECOND
        whole = _by_sizes(facts, config, version, layers, sizes)
        value, low, high = (int(whole * share) for share in shares)
    return Term(value, low, high, f"{sizes} captured sizes, fitted to logs")


def _by_sizes(facts: ModelFacts, config: EngineConfig, version: EngineVersion, layers: int, sizes: int) -> int:
    if not runs_second(facts, version):
        return captured_bytes(facts, config, layers, sizes)
    whole = captured_bytes(facts, config, layers, _FITTED_SIZES)
    return int(whole * (_SECOND_RUNNER_BASE + (1 - _SECOND_RUNNER_BASE) * sizes / _FITTED_SIZES))


def outside_bytes(facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion, layers: int) -> int:
    """Bytes of graphs on a rank that a version captures without having set anything aside."""
    return 0 if version.counts_cuda_graphs else captured(facts, config, gpu, version, layers).value
