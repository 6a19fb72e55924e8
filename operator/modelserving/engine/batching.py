"""How many tokens and sequences a batch holds, once vLLM has fitted its defaults to the model.

Source: vLLM 0.32 engine/arg_utils.py `_set_default_max_num_seqs_and_batched_tokens_args`.
"""

from dataclasses import dataclass

from modelserving.engine.config import EngineRefusal
from modelserving.engine.defaults import batch_defaults
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import AttentionKind, ModelFacts

# Model types that attend to an image from both sides, so that one item must fit into one batch (`is_mm_prefix_lm`).
_PREFIX_LM = ("gemma3", "gemma4", "paligemma")
_THROUGHPUT_FACTOR = 2
# The first engine, vLLM 0.5 to 0.7, config.py `SchedulerConfig` and engine/arg_utils.py: a longer prompt than this is cut,
# unless it may hold images.
_WHOLE_PROMPT_TOKENS = 32 * 1024
_SMALLEST_WHOLE_BATCH = 2048


@dataclass(frozen=True, slots=True)
class BatchFlags:
    """Flags about batches as asked; None where vLLM decides.

    Attributes:
        throughput: whether `--performance-mode throughput` doubles what vLLM decides.
    """

    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    enable_chunked_prefill: bool | None = None
    throughput: bool = False


def batch_sizes(
    facts: ModelFacts, version: EngineVersion, gpu: Gpu, max_model_len: int, flags: BatchFlags
) -> tuple[int, int] | EngineRefusal:
    """(max_num_batched_tokens, max_num_seqs) that `vllm serve` ends up with; a refusal where a prompt has no room."""
    factor = _THROUGHPUT_FACTOR if flags.throughput else 1
    default_tokens, default_sequences = (factor * size for size in batch_defaults(version, gpu))
    if version.first_engine:
        default_tokens = _first_engine_tokens(facts, version, max_model_len, flags)
    sequences = default_sequences if flags.max_num_seqs is None else flags.max_num_seqs
    tokens = flags.max_num_batched_tokens
    if tokens is None:
        tokens = max(default_tokens, smallest_batch(facts, max_model_len, flags))
        tokens = min(tokens, sequences * max_model_len)
    elif tokens < max_model_len and not _chunks(facts, flags):
        return EngineRefusal(
            "BatchSmallerThanPrompt",
            f"max_num_batched_tokens ({tokens:,}) is smaller than max_model_len ({max_model_len:,}), and without chunked "
            "prefill a prompt must fit into one batch. Raise it, shorten max_model_len, or allow chunked prefill.",
        )
    if flags.max_num_seqs is None:
        sequences = min(sequences, tokens)
    return tokens, sequences


def _first_engine_tokens(facts: ModelFacts, version: EngineVersion, max_model_len: int, flags: BatchFlags) -> int:
    cuts = max_model_len > _WHOLE_PROMPT_TOKENS and facts.vision is None
    if cuts if flags.enable_chunked_prefill is None else flags.enable_chunked_prefill:
        return version.chunk_tokens
    return max(max_model_len, _SMALLEST_WHOLE_BATCH)


def _chunks(facts: ModelFacts, flags: BatchFlags) -> bool:
    """Whether a prompt may be spread over batches: not by default where an encoder sees it whole."""
    if flags.enable_chunked_prefill is not None:
        return flags.enable_chunked_prefill
    if facts.whole_prompt:
        return False
    return not any(group.kind in (AttentionKind.CROSS, AttentionKind.ENCODER_ONLY) for group in facts.attention)


def is_prefix_lm(facts: ModelFacts) -> bool:
    """Whether tokens of an image attend to one another from both sides (config/model.py, is_mm_prefix_lm)."""
    return facts.vision is not None and facts.model_type in _PREFIX_LM


def smallest_batch(facts: ModelFacts, max_model_len: int, flags: BatchFlags = BatchFlags()) -> int:
    """Tokens that a batch must hold at least: a whole prompt without chunked prefill, an item that cannot be cut."""
    chunked = _chunks(facts, flags)
    item = facts.vision.max_tokens_per_item if facts.vision is not None and is_prefix_lm(facts) else 0
    return max(item, 0 if chunked else max_model_len)
