"""What must divide by the tensor-parallel size.

Source: vLLM 0.32 config/model.py `verify_with_parallel_config`, layers/linear.py, distributed/utils.py `divide`,
layers/vocab_parallel_embedding.py, and create_weights of the quantization methods.
"""

from collections.abc import Iterator

from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.quantization import method_of, online_method
from modelserving.engine.shares import VOCABULARY_PADDING, padded_vocabulary, section_ranks, share
from modelserving.models.facts import ModelFacts, Module, Quantization, Split

_WORD_BITS = 32


def objection(facts: ModelFacts, config: EngineConfig) -> EngineRefusal | None:
    """Why the model cannot be split over tensor_parallel_size ranks, or None."""
    ranks = config.tensor_parallel_size
    if facts.num_attention_heads % ranks:
        return EngineRefusal(
            "HeadsNotDivisible",
            f"{facts.num_attention_heads} attention heads cannot be split over {ranks} GPUs; use {_divisors(facts, ranks)}.",
        )
    rows = padded_vocabulary(facts.vocab_size)
    if rows % ranks:
        return EngineRefusal(
            "VocabularyNotDivisible",
            f"a vocabulary of {rows} rows (padded to {VOCABULARY_PADDING}) cannot be split over {ranks} GPUs; use "
            f"{_divisors(facts, ranks)}.",
        )
    fewer, more = sorted((facts.num_kv_heads, ranks))
    if more % fewer:
        return EngineRefusal(
            "KvHeadsNotDivisible",
            f"{facts.num_kv_heads} KV heads can be neither split over nor repeated on {ranks} GPUs; use "
            f"{_divisors(facts, ranks)}.",
        )
    if facts.intermediate_size % ranks:
        return EngineRefusal(
            "IntermediateSizeNotDivisible",
            f"an intermediate size of {facts.intermediate_size} cannot be split over {ranks} GPUs; use "
            f"{_divisors(facts, ranks)}.",
        )
    return _quantized_shares(facts, config)


def works(facts: ModelFacts, ranks: int) -> bool:
    """Whether heads, vocabulary and MLP can be split over so many ranks."""
    fewer, more = sorted((facts.num_kv_heads, ranks))
    return (
        facts.num_attention_heads % ranks == 0
        and more % fewer == 0
        and padded_vocabulary(facts.vocab_size) % ranks == 0
        and facts.intermediate_size % ranks == 0
    )


def _divisors(facts: ModelFacts, ranks: int) -> str:
    near = [str(size) for size in range(1, min(2 * ranks, 64) + 1) if works(facts, size)]
    return " or ".join(near[-3:])


def _quantized_shares(facts: ModelFacts, config: EngineConfig) -> EngineRefusal | None:
    stored = facts.stored_quantization
    online = online_method(config.quantization, stored)
    method = method_of(online) if online is not None else None
    for module, ranks in _split_modules(facts, config.tensor_parallel_size):
        reason = None
        if stored is not None and module.quantized:
            reason = _stored_share(module, ranks, stored)
        elif method is not None and module.quantizable and method.input_multiple > 1:
            reason = _multiple(module, ranks, method.input_multiple, f"{online} groups inputs by")
        if reason is not None:
            return EngineRefusal("QuantizationGroupsNotDivisible", f"{reason}. Use fewer GPUs per replica.")
    return None


def _split_modules(facts: ModelFacts, ranks: int) -> Iterator[tuple[Module, int]]:
    for section in facts.sections:
        if section.buffers:
            continue
        for module in section.modules:
            yield module, section_ranks(section, ranks)


def _multiple(module: Module, ranks: int, multiple: int, rule: str) -> str | None:
    inputs = share(module, ranks).columns
    if inputs % multiple == 0:
        return None
    return f"{rule} {multiple}: each of {ranks} GPUs has {inputs} inputs of {module.name}, not a multiple"


def _stored_share(module: Module, ranks: int, stored: Quantization) -> str | None:
    if stored.block_shape is not None:
        return _blocks(module, ranks, stored.method, *stored.block_shape)
    if stored.group_size:
        reason = _multiple(module, ranks, stored.group_size, f"{stored.method} groups inputs by")
        if reason is not None:
            return reason
    rows = share(module, ranks).num_rows
    packed = _WORD_BITS // stored.bits if stored.method in ("awq", "gptq") else 1
    if rows % packed:
        return f"{stored.method} packs {packed} rows into a word: each of {ranks} GPUs has {rows} of {module.name}"
    return None


def _blocks(module: Module, ranks: int, method: str, rows: int, columns: int) -> str | None:
    """Blocks must not be cut: by ranks, or by the parts of a merged module (fp8_utils.py, validate_fp8_block_shape)."""
    if module.split is Split.ROW and ranks > 1:
        return _multiple(module, ranks, columns, f"{method} blocks have a width of")
    cut = module.split in (Split.COLUMN, Split.QKV) and (ranks > 1 or len(module.out_features) > 1)
    odd = [part for part in share(module, ranks).rows if part % rows]
    if cut and odd:
        return f"{method} blocks: each of {ranks} GPUs has a part of {module.name} with {odd[0]} rows, not a multiple of {rows}"
    return None
