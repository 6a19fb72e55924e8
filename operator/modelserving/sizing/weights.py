"""Weights of one rank: what stays on the GPU, what is offloaded, what loading needs besides.

    weights = sum over tensors of the allocator's block for it

Parameters and buffers both count, as in vLLM's "Model loading took".
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache

from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.engine.expert_kernels import alignment, padded
from modelserving.engine.quantization import method_of, online_method
from modelserving.engine.router_kernels import router_dtype
from modelserving.engine.shares import module_ranks, section_ranks, share, towers_whole
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts, Module, Quantization, Split, Stage
from modelserving.models.undescribed import NAME as UNDESCRIBED
from modelserving.sizing.allocator import allocated
from modelserving.sizing.budget import Term
from modelserving.sizing.layouts import DTYPE_BYTES, module_tensors
from modelserving.sizing.sharding import (
    StageSection,
    is_duplicate,
    keeps,
    keeps_towers,
    stage_layers,
    stage_sections,
)

# Real starts logged more than the tensors for packed 4-bit weights: 0.04 GiB of 5.3 (compressed-tensors, 0.8 %), 0.09 of 5.2
# (AWQ, 1.8 %); other layouts within 0.3 %.
_QUANTIZED_BAND = 0.01
_PACKED_ABOVE = 0.025
# Llama 4 Scout, the one mixture with a logged start that differs: 0.4 % (H100, 0.19).
_EXPERTS_BAND = 0.005
# The first engine, whose code was not read for modules: Qwen2-VL-7B on 0.6.6 logged 0.3 % less.
_OLD_BAND = 0.005
# Modules are those of 0.32. Towers were cut otherwise before: with 0.19 two and four ranks of Mistral Small 3.1 and Kimi-VL held
# them whole, Mistral's in its own format; Granite Vision logged 0.4 % more on one.
_MODULES_READ = (0, 32, 0)
_TOWERS_BAND = 0.005
# Expert parallelism keeps an int32 for every expert of a layer: where it lives (fused_moe/routed_experts.py, _expert_map).
_EXPERT_MAP_ENTRY = 4
_BYTE_BITS = 8
# An architecture nobody described: what vLLM replicates or pads is not known.
_UNDESCRIBED_BAND = 0.10
# A layout nobody described.
_UNKNOWN_BAND = 0.06


@dataclass(frozen=True, slots=True)
class RankWeights:
    """Weights of the ranks of one pipeline stage.

    Attributes:
        on_gpu: bytes that stay on the GPU.
        offloaded: bytes of every tensor kept in host memory, in the order they are moved.
        largest_module: bytes of the largest module in full precision that is quantized on the fly.
    """

    on_gpu: Term
    offloaded: tuple[int, ...]
    largest_module: int

    @property
    def offloaded_bytes(self) -> int:
        """Bytes kept in host memory."""
        return sum(self.offloaded)


@dataclass(frozen=True, slots=True)
class _Sized:
    """A stage's section with the bytes of its tensors, module by module."""

    held: StageSection
    tensors: tuple[int, ...]


# Weights kept to be asked for again: a plan asks with every context and batch, for every kind of node.
_REMEMBERED = 1024


def weights_only(config: EngineConfig) -> EngineConfig:
    """The same for all configurations that lead to the same weights: what they do not depend on is set to a constant."""
    return replace(
        config,
        max_model_len=1,
        max_num_seqs=1,
        max_num_batched_tokens=1,
        gpu_memory_utilization=1.0,
        kv_cache_dtype="auto",
        enforce_eager=False,
        block_size=None,
        enable_prefix_caching=None,
        disable_hybrid_kv_cache_manager=False,
    )


def generation_only(gpu: Gpu) -> Gpu:
    """The same for all GPUs of one generation: nothing else of a GPU changes the weights."""
    return Gpu("", 0, gpu.compute_capability)


@lru_cache(maxsize=_REMEMBERED)
def rank_weights(
    facts: ModelFacts, config: EngineConfig, version: EngineVersion, stage: int, gpu: Gpu | None = None
) -> RankWeights:
    """Weights of the ranks of a pipeline stage.

    Args:
        facts: the model.
        config: the engine's configuration.
        version: facts of the vLLM version.
        stage: which pipeline stage.
        gpu: the GPU, whose kernels pad routed experts; None takes what Hopper does.
    """
    sized, largest = _size_sections(facts, config, version, stage, gpu)
    whole = version.never_splits_large
    total = sum(item.held.repeats * sum(allocated(tensor, whole) for tensor in item.tensors) for item in sized)
    offloaded = _offloaded(facts, config, stage, sized) if config.cpu_offload_bytes > 0 else ()
    on_gpu = total - sum(allocated(tensor, whole) for tensor in offloaded)
    term = _term(facts, config, version, on_gpu)
    if version.number < _MODULES_READ and keeps_towers(facts, config.limit_mm_per_prompt):
        alone = replace(config, tensor_parallel_size=1)
        uncut = _size_sections(facts, alone, version, stage, gpu)[0] if config.tensor_parallel_size > 1 else sized
        term = _with_other_towers(term, _of_towers(uncut, whole) - _of_towers(sized, whole))
    return RankWeights(term, offloaded, largest)


def _of_towers(sized: list[_Sized], whole: bool) -> int:
    return sum(
        item.held.repeats * sum(allocated(tensor, whole) for tensor in item.tensors)
        for item in sized
        if item.held.section.tower
    )


def _with_other_towers(term: Term, more: int) -> Term:
    """A term that may be more by as much as towers take that are held whole."""
    margin = int(_TOWERS_BAND * term.value)
    return replace(
        term, low=min(term.low, term.value - margin), high=max(term.high, term.value + margin + max(0, more))
    )


def _size_sections(
    facts: ModelFacts, config: EngineConfig, version: EngineVersion, stage: int, gpu: Gpu | None
) -> tuple[list[_Sized], int]:
    stored = facts.stored_quantization
    online = online_method(config.quantization, stored)
    gelu = facts.experts is not None and facts.experts.gelu
    with_towers = keeps_towers(facts, config.limit_mm_per_prompt)
    method = method_of(online) if online is not None else None
    misread = method is not None and method.misreads
    whole = towers_whole(facts, config.mm_encoder_tp_mode)
    sized, largest = [], 0
    for held in stage_sections(facts, stage, config.pipeline_parallel_size, with_towers):
        if not keeps(held.section, config.limit_mm_per_prompt):
            continue
        ranks = section_ranks(held.section, config.tensor_parallel_size, whole)
        tensors: list[int] = []
        owned: dict[str, int] = defaultdict(int)
        for module in held.section.modules:
            if is_duplicate(module, stage, version.outer_config_ties):
                continue
            part = share(module, module_ranks(module, ranks, config), config.enable_expert_parallel)
            plain = part.elements * DTYPE_BYTES[config.dtype]
            part = padded(
                module, part, alignment(_experts_method(module, stored, online), gpu, not (gelu or part.bias > 0))
            )
            kept = module_tensors(module, part, router_dtype(module, gpu) or config.dtype, stored, online)
            tensors.extend(kept)
            if (
                module.split is Split.COLUMN
                and module.experts
                and config.enable_expert_parallel
                and config.expert_ranks > 1
            ):
                tensors.append(module.experts * _EXPERT_MAP_ENTRY)
            if online is not None and not misread and module.quantizable and kept[0] != plain:
                owned[module.owner] += part.elements * DTYPE_BYTES[config.dtype]
        largest = max(largest, *owned.values(), 0)
        sized.append(_Sized(held, tuple(tensors)))
    return sized, largest


def _experts_method(module: Module, stored: Quantization | None, online: str | None) -> str | None:
    if stored is not None:
        return (module.scheme or stored).method if module.quantized else None
    return online


def _offloaded(facts: ModelFacts, config: EngineConfig, stage: int, sized: list[_Sized]) -> tuple[int, ...]:
    """Tensors moved to host memory: whole ones, decoder layers first to last, until the budget is reached.

    Source: vLLM 0.32 model_executor/offloader/uva.py: it stops after the tensor that reaches the budget; towers follow
    the order they are built in, embeddings and head stay.
    """
    layers = stage_layers(facts.num_layers, config.pipeline_parallel_size)[stage]
    towers = [item for item in sized if item.held.section.tower and not item.held.section.buffers]
    decoder = [item for item in sized if item.held.section.stage is Stage.LAYERS and not item.held.section.buffers]
    moved: list[int] = []
    left = config.cpu_offload_bytes

    def move(tensors: tuple[int, ...]) -> bool:
        nonlocal left
        for tensor in tensors:
            if left <= 0:
                return False
            moved.append(tensor)
            left -= tensor
        return True

    for item in towers:
        for _ in range(item.held.repeats):
            if not move(item.tensors):
                return tuple(moved)
    members = [(frozenset(item.held.section.layers), item.tensors) for item in decoder]
    for layer in layers:
        for indices, tensors in members:
            if layer in indices and not move(tensors):
                return tuple(moved)
    return tuple(moved)


def _term(facts: ModelFacts, config: EngineConfig, version: EngineVersion, value: int) -> Term:
    stored = facts.stored_quantization
    online = online_method(config.quantization, stored)
    method = method_of(online) if online is not None else None
    if method is not None and method.misreads:
        return Term.exact(value, f"{online} takes 16-bit weights for quantized ones: vLLM starts and answers nonsense")
    if facts.family == UNDESCRIBED:
        return _banded(value, _UNDESCRIBED_BAND, "stored tensors, cut evenly over GPUs")
    if stored is not None and not stored.known:
        return _banded(value, _UNKNOWN_BAND, f"vLLM's modules with {stored.method} weights")
    if stored is not None:
        is_packed = not stored.is_float and stored.bits < _BYTE_BITS
        above = _PACKED_ABOVE if is_packed else _QUANTIZED_BAND
        return _banded(value, _QUANTIZED_BAND, f"vLLM's modules with {stored.method} weights", above)
    source = "vLLM's modules, cut over ranks, rounded by the allocator"
    band = max(_EXPERTS_BAND if facts.experts is not None else 0.0, _OLD_BAND if version.first_engine else 0.0)
    return _banded(value, band, source) if band else Term.exact(value, source)


def _banded(value: int, band: float, source: str, above: float | None = None) -> Term:
    return Term(value, int(value * (1 - band)), int(value * (1 + (band if above is None else above))), source)
