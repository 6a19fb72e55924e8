"""What a layout could do besides what was asked: the longest context that fits, the least offload that makes it fit.

Both are looked for by the same estimate that decides, from a guess that is exact where every layer keeps the whole context, and by
halving where it is not.
"""

from collections.abc import Callable
from dataclasses import replace

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.planning.comparison_trial import HOST_MEMORY, Layout, Obstacle, Trial
from modelserving.sizing.budget import MemoryEstimate
from modelserving.units import GB, GIB, ceil_div

# Bytes a second that 16 lanes carry one way, by PCIe generation: 8, 16 and 32 GT/s with 128 of 130 bits for data (PCI-SIG).
_LANES = 16
_PCIE_GIGATRANSFERS = {3: 8, 4: 16, 5: 32}
_CODING = 128 / 130
# PCIe generation of NVIDIA's data-centre and workstation GPUs by major compute capability: V100 and T4 have 3, Ampere and Ada 4,
# Hopper and Blackwell at least 5.
_GENERATIONS = {7: 3, 8: 4}
_NEWEST = 5


def pcie_generation(gpu: Gpu) -> int:
    """PCIe generation of a GPU."""
    return _GENERATIONS.get(gpu.compute_capability[0], _NEWEST if gpu.compute_capability[0] > 8 else 3)


def pcie_bytes_per_second(gpu: Gpu) -> float:
    """Bytes a second that a GPU can read of host memory at most."""
    return _PCIE_GIGATRANSFERS[pcie_generation(gpu)] * _CODING * _LANES / 8 * GB


def longest_context(trial: Trial, config: EngineConfig, memory: MemoryEstimate) -> int:
    """Find the longest context that fits with the concurrency asked for; `config` is known to fit."""

    def fits(length: int) -> bool:
        return trial.size(replace(config, max_model_len=length)).fits

    low, high = config.max_model_len, trial.method.facts.max_model_len
    if high <= low or fits(high):
        return max(low, high)
    block = memory.kv_cache.block_size
    guess = _linear(memory, trial.request.concurrency)
    if low < guess < high:
        low, high = (guess, high) if fits(guess) else (low, guess)
        if low == guess and (guess + block >= high or not fits(guess + block)):
            return guess
    return _halve(low, high, block, fits)


def _linear(memory: MemoryEstimate, concurrency: int) -> int:
    """Tokens a request could have if every layer kept all of them; one block is never given out."""
    kv = memory.kv_cache
    blocks = memory.tightest_rank.kv_cache_available_low // kv.bytes_per_block - 1 if kv.bytes_per_block else 0
    return blocks // concurrency * kv.block_size


def _halve(low: int, high: int, step: int, fits: Callable[[int], bool]) -> int:
    """Largest multiple of `step` that fits; at least `low`, which does, and less than `high`, which does not."""
    lower, upper = low // step, ceil_div(high, step)
    while upper - lower > 1:
        middle = (lower + upper) // 2
        if fits(middle * step):
            lower = middle
        else:
            upper = middle
    return max(low, lower * step)


def least_offload(trial: Trial, config: EngineConfig) -> Layout | Obstacle:
    """Find the least whole GiB of weights per GPU in host memory that makes a configuration fit."""

    def offloaded(gib: int) -> EngineConfig:
        return replace(config, cpu_offload_bytes=gib * GIB)

    def fits(gib: int) -> bool:
        return trial.size(offloaded(gib)).fits

    most = ceil_div(trial.size(config).tightest_rank.weights.value, GIB)
    found = trial.attempt(offloaded(most))
    if isinstance(found, Obstacle) and found.reason != HOST_MEMORY:
        return replace(found, message=f"with all layers in host memory {found.message}")
    lower, upper = 0, most
    while upper - lower > 1:
        middle = (lower + upper) // 2
        lower, upper = (lower, middle) if fits(middle) else (middle, upper)
    return trial.attempt(offloaded(upper))
