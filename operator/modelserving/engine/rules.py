"""What vLLM refuses whatever the memory, in the order in which it would notice.

Source: vLLM 0.32 config/model.py, config/vllm.py, config/scheduler.py, config/parallel.py, layers/linear.py,
layers/vocab_parallel_embedding.py and layers/quantization/. Each rule is one function; the first that objects answers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from modelserving.engine import divisibility
from modelserving.engine.cache_rules import cache_dtype_objection
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.defaults import resolve_dtype
from modelserving.engine.device import Gpu
from modelserving.engine.expert_blocks import expert_blocks_objection
from modelserving.engine.quantization import (
    DEPRECATED,
    KEEPS_OWN,
    NEEDS_FILES,
    capability_number,
    may_be_requantized,
    method_of,
    online_method,
    same_method,
    too_old,
)
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts, Quantization

# Attention kernels take blocks of whole multiples of this (v1/attention/backends/).
_BLOCK_MULTIPLE = 16
_LARGEST_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class _Case:
    facts: ModelFacts
    config: EngineConfig
    gpu: Gpu
    version: EngineVersion


def refusal(facts: ModelFacts, config: EngineConfig, gpu: Gpu, version: EngineVersion) -> EngineRefusal | None:
    """Why vLLM would not start with this configuration, or None."""
    case = _Case(facts, config, gpu, version)
    return next((objection for rule in _RULES if (objection := rule(case)) is not None), None)


def _architecture(case: _Case) -> EngineRefusal | None:
    if case.version.supports(case.facts.architecture):
        return None
    instead = (
        f" Use {case.facts.runs_instead}, a converted model of the same family that runs."
        if case.facts.runs_instead
        else ""
    )
    return EngineRefusal(
        "ArchitectureNotSupported",
        f"vLLM {case.version.text} has no model class {case.facts.architecture}, so it cannot run {case.facts.model}."
        f"{instead}",
    )


def _config_class(case: _Case) -> EngineRefusal | None:
    facts, version = case.facts, case.version
    if version.reads(facts.model_type) or facts.brings_code:
        return None
    return EngineRefusal(
        "ModelTypeNotSupported",
        f"config.json of {facts.model} has the model type {facts.model_type[:60]!r}, which neither vLLM {version.text} nor "
        "its transformers can read, and brings no code for it. Use the checkpoint as its publisher keeps it, with "
        "auto_map and the files that it names, or name another model.",
    )


def _sizes(case: _Case) -> EngineRefusal | None:
    config = case.config
    for name in ("max_model_len", "max_num_seqs", "max_num_batched_tokens"):
        if getattr(config, name) < 1:
            return EngineRefusal("SizeNotPositive", f"{name} is {getattr(config, name)} and must be at least 1.")
    for name in ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"):
        if getattr(config, name) < 1:
            return EngineRefusal("SizeNotPositive", f"{name} is {getattr(config, name)} and must be at least 1.")
    if not 0 < config.gpu_memory_utilization <= 1:
        return EngineRefusal(
            "UtilizationOutOfRange",
            f"gpu_memory_utilization is {config.gpu_memory_utilization:g} and must be above 0 and at most 1.",
        )
    if config.max_num_batched_tokens < config.max_num_seqs:
        return EngineRefusal(
            "BatchSmallerThanSequences",
            f"max_num_batched_tokens ({config.max_num_batched_tokens}) is smaller than max_num_seqs "
            f"({config.max_num_seqs}); every sequence needs at least one token in a batch.",
        )
    return None


def _length(case: _Case) -> EngineRefusal | None:
    asked, derived = case.config.max_model_len, case.facts.max_model_len
    if asked <= derived:
        return None
    return EngineRefusal(
        "ContextTooLong",
        f"{case.facts.model} is made for at most {derived:,} tokens; {asked:,} were asked for. "
        f"Set contextLength to {derived} or less.",
    )


def _dtype(case: _Case) -> EngineRefusal | None:
    resolved = resolve_dtype(case.facts, case.config.dtype, case.gpu)
    return resolved if isinstance(resolved, EngineRefusal) else None


def _quantization_known(case: _Case) -> EngineRefusal | None:
    stored, flag = case.facts.stored_quantization, case.config.quantization
    names = case.version.methods
    if stored is not None and stored.method not in names:
        return EngineRefusal(
            "UnknownQuantization",
            f"{case.facts.model} is stored as {stored.method}, which vLLM {case.version.text} does not know. "
            "Name a checkpoint in AWQ, GPTQ, fp8 or compressed-tensors.",
        )
    if flag is None:
        return None
    if flag not in names:
        return EngineRefusal(
            "UnknownQuantization", f"vLLM {case.version.text} has no quantization method {flag[:60]!r}."
        )
    if flag in DEPRECATED:
        return EngineRefusal("QuantizationDeprecated", f"vLLM refuses {flag} as deprecated. Use fp8_per_tensor.")
    if stored is not None and _is_put_on_top(case, stored, flag):
        return _requantized_experts(case, stored)
    if stored is not None and not same_method(flag, stored.method) and stored.method not in KEEPS_OWN:
        return EngineRefusal(
            "QuantizationMismatch",
            f"{case.facts.model} is stored as {stored.method}; vLLM refuses {flag} on top. Leave quantization to the "
            "checkpoint, or name a 16-bit checkpoint.",
        )
    if case.facts.unnamed_quantization:
        return EngineRefusal(
            "QuantizationMismatch",
            f"quantization_config of {case.facts.model} has no quant_method, and vLLM refuses {flag} on top of it. Leave "
            "quantization to the checkpoint, or name a 16-bit checkpoint.",
        )
    if stored is None and flag in NEEDS_FILES:
        return EngineRefusal(
            "QuantizationConfigMissing",
            f"{flag} needs a checkpoint quantized with it; {case.facts.model} is not. Name one in variants, or use "
            "fp8_per_tensor.",
        )
    return None


def _is_put_on_top(case: _Case, stored: Quantization, flag: str) -> bool:
    """Whether a flag that quantizes while loading reaches layers of a quantized checkpoint; gpt-oss goes by `mxfp4` too."""
    method = method_of(flag)
    if method is None or not method.online or stored.method.endswith(flag):
        return False
    return case.version.requantizes and (may_be_requantized(stored) or stored.method in KEEPS_OWN)


def _requantized_experts(case: _Case, stored: Quantization) -> EngineRefusal | None:
    """What a checkpoint left in 16 bits may be quantized while loading, but not routed experts that it quantized."""
    experts = [m for section in case.facts.sections for m in section.modules if m.experts and m.quantized]
    if not experts:
        return None
    return EngineRefusal(
        "QuantizationMismatch",
        f"{case.facts.model} has routed experts stored as {stored.method}, and vLLM {case.version.text} does not "
        f"quantize those again to {case.config.quantization}. Leave quantization to the checkpoint.",
    )


def _quantization_runs(case: _Case) -> EngineRefusal | None:
    stored, gpu = case.facts.stored_quantization, case.gpu
    name = stored.method if stored is not None else online_method(case.config.quantization, stored)
    method = method_of(name) if name is not None else None
    if name is None or method is None:
        return None
    oldest = method.capability_for(case.facts.experts is not None)
    if capability_number(gpu) < oldest:
        return too_old(name, oldest, gpu)
    if case.config.dtype not in method.act_dtypes:
        return EngineRefusal(
            "DtypeNotSupported", f"{name} runs with {' or '.join(method.act_dtypes)}, not with {case.config.dtype}."
        )
    if stored is not None and stored.desc_act and case.version.rejects_act_order:
        return EngineRefusal(
            "ActOrderNotSupported",
            f"{case.facts.model} is quantized with desc_act (activation order), which vLLM {case.version.text} refuses. "
            "Use a checkpoint with desc_act=false.",
        )
    if stored is not None and stored.method == "gptq" and not stored.symmetric and case.version.symmetric_gptq:
        return EngineRefusal(
            "AsymmetricGptqNotSupported",
            f"{case.facts.model} is quantized by GPTQ with sym=false, for which vLLM {case.version.text} has no kernel. Use a "
            "checkpoint with sym=true, or AWQ.",
        )
    if method.online and case.config.cpu_offload_bytes > 0:
        return EngineRefusal(
            "OffloadWithOnTheFlyQuantization",
            f"vLLM cannot offload weights that {name} makes while loading. Use a stored quantized checkpoint, or no "
            "offload.",
        )
    return None


def _kv_cache(case: _Case) -> EngineRefusal | None:
    objection = cache_dtype_objection(case.facts, case.config.kv_cache_dtype, case.gpu)
    if objection is not None:
        return objection
    block = case.config.block_size
    if block is not None and (block < 1 or block % _BLOCK_MULTIPLE or block > _LARGEST_BLOCK):
        return EngineRefusal(
            "BlockSizeNotSupported",
            f"block_size is {block}; attention kernels take multiples of {_BLOCK_MULTIPLE} up to {_LARGEST_BLOCK}.",
        )
    return None


def _parallelism(case: _Case) -> EngineRefusal | None:
    if case.config.enable_expert_parallel and case.facts.experts is None:
        return EngineRefusal(
            "ExpertParallelNeedsExperts", f"{case.facts.model} has no experts to distribute. Leave expert parallel off."
        )
    if case.config.pipeline_parallel_size > 1 and not case.facts.supports_pipeline:
        return EngineRefusal(
            "PipelineNotSupported",
            f"vLLM cannot cut {case.facts.architecture} into pipeline stages. Use tensor parallelism alone.",
        )
    if case.config.pipeline_parallel_size > case.facts.num_layers:
        return EngineRefusal(
            "MoreStagesThanLayers",
            f"{case.facts.num_layers} layers cannot fill {case.config.pipeline_parallel_size} pipeline stages.",
        )
    objection = divisibility.objection(case.facts, case.config)
    return objection or expert_blocks_objection(case.facts, case.config, case.gpu)


_RULES: tuple[Callable[[_Case], EngineRefusal | None], ...] = (
    _architecture,
    _config_class,
    _sizes,
    _quantization_known,
    _dtype,
    _length,
    _quantization_runs,
    _parallelism,
    _kv_cache,
)
