"""What must divide by the tensor-parallel size.

Source: vLLM 0.32 config/model.py `verify_with_parallel_config`, layers/linear.py, distributed/utils.py `divide`,
layers/vocab_parallel_embedding.py, layers/mamba/mamba_mixer2.py, and create_weights of the quantization methods.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.expert_kernels import alignment, expert_block, expert_group, padded
from modelserving.engine.quantization import method_of, online_method
from modelserving.engine.shares import (
    VOCABULARY_PADDING,
    Share,
    module_ranks,
    padded_vocabulary,
    section_ranks,
    share,
    towers_whole,
)
from modelserving.models.facts import ModelFacts, Module, Quantization, Split

_WORD_BITS = 32
# Routed experts of these are created without a look at whether groups are cut (modelopt.py, ModelOptNvFp4FusedMoE).
_UNCHECKED_EXPERTS = ("modelopt_fp4",)
# Bits of a weight that integer methods pack; floating-point ones of 4 bits are two to a byte.
_PACKING = ("awq", "gptq")


def objection(facts: ModelFacts, config: EngineConfig) -> EngineRefusal | None:
    """Why the model cannot be split over the ranks of an engine, and its experts over those of all engines, or None."""
    return _found(facts, _cut(config))


@lru_cache(maxsize=4096)
def _found(facts: ModelFacts, config: EngineConfig) -> EngineRefusal | None:
    found = _objection(facts, config)
    if found is not None:
        reason, message = found
        return EngineRefusal(reason, f"{message}; use {_divisors(facts, config)}.")
    return _quantized_shares(facts, config)


def _cut(config: EngineConfig) -> EngineConfig:
    """The same for all configurations that cut a model in the same way: a search looks at thousands of them."""
    return EngineConfig(
        max_model_len=1,
        max_num_seqs=1,
        max_num_batched_tokens=1,
        gpu_memory_utilization=1.0,
        tensor_parallel_size=config.tensor_parallel_size,
        data_parallel_size=config.data_parallel_size,
        enable_expert_parallel=config.enable_expert_parallel,
        quantization=config.quantization,
        mm_encoder_tp_mode=config.mm_encoder_tp_mode,
    )


def works(facts: ModelFacts, config: EngineConfig) -> bool:
    """Whether heads, vocabulary and layers can be split over so many ranks."""
    return _objection(facts, config) is None


def _objection(facts: ModelFacts, config: EngineConfig) -> tuple[str, str] | None:
    """(reason, what does not divide), or None."""
    ranks = config.tensor_parallel_size
    if config.expert_ranks == 1:
        return None
    if facts.num_attention_heads % ranks:
        return "HeadsNotDivisible", f"{facts.num_attention_heads} attention heads cannot be split over {ranks} GPUs"
    rows = padded_vocabulary(facts.vocab_size)
    if rows % ranks:
        return (
            "VocabularyNotDivisible",
            f"a vocabulary of {rows} rows (padded to {VOCABULARY_PADDING}) cannot be split over {ranks} GPUs",
        )
    kv_heads = () if facts.latent_attention is not None else (facts.num_kv_heads,)
    kept = tuple(group.num_kv_heads for group in facts.attention if not group.states and group.num_kv_heads > 1)
    for heads in (*kv_heads, *kept):
        fewer, more = sorted((heads, ranks))
        if more % fewer:
            return "KvHeadsNotDivisible", f"{heads} KV heads can be neither split over nor repeated on {ranks} GPUs"
    for module, held in _split_modules(facts, config):
        if config.enable_expert_parallel and module.experts:
            continue
        reason = _uneven(module, held)
        if reason is not None:
            return reason
    return None


def _uneven(module: Module, ranks: int) -> tuple[str, str] | None:
    if module.split is Split.QKV and module.heads[0] % ranks:
        return "HeadsNotDivisible", f"{module.heads[0]} heads of {module.name} cannot be split over {ranks} GPUs"
    if module.split is Split.COLUMN:
        odd = [rows for rows in module.out_features if rows % ranks]
    elif module.split is Split.ROW:
        odd = [module.in_features] if module.in_features % ranks else []
    elif module.split is Split.GROUPED:
        groups = [count for count in module.heads if count % ranks and count > 1]
        if groups:
            return "GroupsNotDivisible", f"{groups[0]} groups of {module.name} cannot be split over {ranks} GPUs"
        return None
    else:
        return None
    if not odd:
        return None
    if "mlp" in module.name or module.experts:
        return "IntermediateSizeNotDivisible", f"an intermediate size of {odd[0]} cannot be split over {ranks} GPUs"
    return "LayerNotDivisible", f"{odd[0]} rows or columns of {module.name} cannot be split over {ranks} GPUs"


def _divisors(facts: ModelFacts, config: EngineConfig) -> str:
    sizes = range(1, min(2 * config.tensor_parallel_size, 64) + 1)
    near = [str(size) for size in sizes if works(facts, replace(config, tensor_parallel_size=size))]
    return " or ".join(near[-3:]) or "another data parallel size"


def _quantized_shares(facts: ModelFacts, config: EngineConfig) -> EngineRefusal | None:
    stored = facts.stored_quantization
    online = online_method(config.quantization, stored)
    method = method_of(online) if online is not None else None
    for module, ranks in _split_modules(facts, config):
        reason = None
        scheme = module.scheme or stored if module.quantized else None
        part = share(module, ranks, config.enable_expert_parallel)
        if scheme is not None:
            part = padded(module, part, alignment(scheme.method, None, not module.bias))
            reason = _stored_share(module, part, ranks, scheme)
        elif stored is None and method is not None and module.quantizable and method.input_multiple > 1:
            part = padded(module, part, alignment(online, None, not module.bias))
            reason = _multiple(module, part, ranks, method.input_multiple, f"{online} groups inputs by")
        if reason is not None:
            return EngineRefusal("QuantizationGroupsNotDivisible", f"{reason}. Use fewer GPUs per replica.")
    return None


def _split_modules(facts: ModelFacts, config: EngineConfig) -> Iterator[tuple[Module, int]]:
    whole = towers_whole(facts, config.mm_encoder_tp_mode)
    for section in facts.sections:
        if section.buffers:
            continue
        ranks = section_ranks(section, config.tensor_parallel_size, whole)
        for module in section.modules:
            yield module, module_ranks(module, ranks, config)


def _multiple(module: Module, part: Share, ranks: int, multiple: int, rule: str) -> str | None:
    if part.columns % multiple == 0:
        return None
    return f"{rule} {multiple}: each of {ranks} GPUs has {part.columns} inputs of {module.name}, not a multiple"


def _stored_share(module: Module, part: Share, ranks: int, stored: Quantization) -> str | None:
    if stored.block_shape is not None:
        block = expert_block(module, part, stored.block_shape) if module.experts else stored.block_shape
        return _blocks(module, part, ranks, stored.method, *block)
    if stored.group_size and not (module.experts and stored.method in _UNCHECKED_EXPERTS):
        found = expert_group(module, part, stored.method, stored.group_size)
        group = stored.group_size if found is None else found[0]
        reason = _multiple(module, part, ranks, group, f"{stored.method} groups inputs by")
        if reason is not None:
            return reason
    packed = _WORD_BITS // stored.bits if stored.method in _PACKING else 1
    if part.num_rows % packed:
        rows = part.num_rows
        return f"{stored.method} packs {packed} rows into a word: each of {ranks} GPUs has {rows} of {module.name}"
    return None


def _blocks(module: Module, part: Share, ranks: int, method: str, rows: int, columns: int) -> str | None:
    """Blocks must not be cut: by ranks, or by the parts of a merged module (fp8_utils.py, validate_fp8_block_shape)."""
    if module.split is Split.ROW and ranks > 1:
        return _multiple(module, part, ranks, columns, f"{method} blocks have a width of")
    # A layer merged of several may end within a block (linear.py, _maybe_allow_fp8_block_shape_mismatch); experts may not.
    is_merged = len(module.out_features) > 1
    cut = module.split is Split.COLUMN and (ranks > 1 if not is_merged else module.experts > 0)
    odd = [count for count in part.rows if cut and count % rows]
    if odd:
        return f"{method} blocks: each of {ranks} GPUs has a part of {module.name} with {odd[0]} rows, not a multiple of {rows}"
    return None
