"""Decoders that make embeddings or scores under names that vLLM's rule for such names does not reach.

Source: vLLM 0.32 model_executor/models/llama.py, qwen2_rm.py, config.py.
"""

from dataclasses import replace

from modelserving.models.families import llama, mistral, qwen2
from modelserving.models.families.family import Description, Family
from modelserving.models.families.pooling import headless, looks_both_ways, num_labels, rewards, scoring, with_head
from modelserving.models.fields import Fields

# Labels of a step: good or bad (qwen2_rm.py).
_STEP_LABELS = 2
_BARE = tuple((name, f"model.{name}") for name in ("layers.", "embed_tokens.", "norm."))


def _both_ways(config: Fields) -> Description:
    return looks_both_ways(headless(llama.FAMILY.describe(config)))


def _both_ways_scoring(config: Fields) -> Description:
    described = _both_ways(config)
    head = scoring("score", described.hidden_size, num_labels(config), bias=False)
    return with_head(described, replace(head, quantizable=True))


# Names that stand in vLLM's registry beside the ones that generate: without sentence-transformers' files, which a
# checkpoint with an output head has not, they are those (config/model.py, `_get_default_convert_type`).
_NAMED = (("LlamaModel", llama.FAMILY), ("MistralModel", mistral.FAMILY), ("Qwen2Model", qwen2.FAMILY))
FAMILIES: tuple[Family, ...] = (
    *(Family(f"{base.name}_embedding", (name,), base.describe, _BARE, head_optional=True) for name, base in _NAMED),
    Family("llama_bidirectional", ("LlamaBidirectionalModel",), _both_ways, _BARE),
    Family("llama_bidirectional_scores", ("LlamaBidirectionalForSequenceClassification",), _both_ways_scoring),
    Family("qwen2_rewards", ("Qwen2ForRewardModel",), rewards(qwen2.FAMILY, 1, whole_prompt=False)),
    Family(
        "qwen2_process_rewards",
        ("Qwen2ForProcessRewardModel",),
        rewards(qwen2.FAMILY, _STEP_LABELS, whole_prompt=True),
    ),
)
