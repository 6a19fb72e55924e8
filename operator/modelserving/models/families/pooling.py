"""Decoders that make embeddings or scores: the same modules without the output head, perhaps with a small one of their own.

vLLM makes such a model of any that generates, by the name of its architecture: `XModel` and the like embed,
`XForSequenceClassification` scores. Source: vLLM 0.32 config/model.py (`_SUFFIX_TO_DEFAULTS`), model_executor/models/registry.py
(`_normalize_arch`), adapters.py (`as_embedding_model`, `as_seq_cls_model`), qwen2_rm.py.
"""

from collections.abc import Callable
from dataclasses import replace

from modelserving.models.facts import AttentionKind, Module, Section, Split, Stage
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

# Ends of names, in vLLM's order, and whether such a model scores.
_SUFFIXES = (
    ("ForTextEncoding", False),
    ("EmbeddingModel", False),
    ("ForSequenceClassification", True),
    ("ForTokenClassification", True),
    ("ForAudioClassification", True),
    ("ForImageClassification", True),
    ("ForVideoClassification", True),
    ("ClassificationModel", True),
    ("ForRewardModeling", False),
    ("RewardModel", False),
    ("Model", False),
)
_GENERATIVE = ("ForCausalLM", "ForConditionalGeneration", "ChatModel", "LMHeadModel")
# transformers PretrainedConfig.
_LABELS = 2
_MOST_LABELS = 2**20
# Heads that compute scores are float32 (config/model.py, `_get_head_dtype`); config.json may say otherwise.
SCORE_DTYPE = "float32"


def num_labels(config: Fields) -> int:
    """Labels that a classifier tells apart: as many as id2label names, or num_labels, or two.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    named = config.part("id2label")
    if named is not None and named.names():
        return len(named.names())
    return config.whole("num_labels", _LABELS, high=_MOST_LABELS)


def scoring(name: str, inputs: int, outputs: int, bias: bool = True, split: Split = Split.REPLICATED) -> Module:
    """A linear layer of a head that scores."""
    return Module(name, split, inputs, (outputs,), bias=bias, fixed_dtype=SCORE_DTYPE)


def headless(described: Description) -> Description:
    """The same decoder without its output head."""
    kept = tuple(
        replace(section, modules=tuple(module for module in section.modules if not module.name.endswith("lm_head")))
        for section in described.sections
    )
    return replace(
        described,
        sections=tuple(section for section in kept if section.modules),
        tie_word_embeddings=False,
        pooling=True,
    )


def with_head(described: Description, *modules: Module) -> Description:
    """A headless decoder with a small head."""
    return replace(described, sections=(*described.sections, Section(Stage.LAST, modules)))


def _scores(config: Fields, described: Description) -> Description:
    text = config.part("text_config") or config
    labels = num_labels(config if config.has("id2label") or config.has("num_labels") else text)
    head = scoring("score", described.hidden_size, labels, bias=False)
    return with_head(described, replace(head, quantizable=True))


def bases(architecture: str) -> tuple[str, ...]:
    """Names of generating models that vLLM would make an architecture of."""
    suffix = next((suffix for suffix, _ in _SUFFIXES if architecture.endswith(suffix)), "")
    return tuple(architecture.removesuffix(suffix) + end for end in _GENERATIVE) if suffix else ()


def converted(architecture: str, find: Callable[[str], Family | None]) -> Family | None:
    """The family of an architecture that vLLM makes of one that generates, or None.

    Args:
        architecture: the name in config.json.
        find: the family of a name that somebody described.
    """
    base = next((family for name in bases(architecture) if (family := find(name)) is not None), None)
    scores = next((scores for suffix, scores in _SUFFIXES if architecture.endswith(suffix)), False)
    return None if base is None else _converted(architecture, base, scores)


def _converted(architecture: str, base: Family, scores: bool) -> Family:
    def describe(config: Fields) -> Description:
        described = headless(base.describe(config))
        return _scores(config, described) if scores else described

    # A plain model is stored without the `model.` that its class puts before names.
    bare = (*base.prefixes, *((name, f"model.{name}") for name in ("layers.", "embed_tokens.", "norm.")))
    return replace(base, architectures=(architecture,), describe=describe, prefixes=bare)


def rewards(base: Family, labels: int | None, whole_prompt: bool) -> Callable[[Fields], Description]:
    """Qwen 2.5 Math's reward models: two linears over every token or every step.

    Args:
        base: the decoder.
        labels: outputs of the head; None where config.json says so.
        whole_prompt: whether its pooler needs the whole prompt in one batch.
    """

    def describe(config: Fields) -> Description:
        described = headless(base.describe(config))
        width, count = described.hidden_size, labels or num_labels(config)
        first = scoring("score.0", width, width, split=Split.COLUMN)
        second = scoring("score.2", width, count, split=Split.ROW)
        return replace(
            with_head(described, replace(first, quantizable=True), replace(second, quantizable=True)),
            whole_prompt=whole_prompt,
        )

    return describe


def looks_both_ways(described: Description) -> Description:
    """The same decoder where every token sees every other: it keeps no cache (`is_causal` false)."""
    groups = tuple(replace(group, kind=AttentionKind.ENCODER_ONLY) for group in described.attention)
    return replace(described, attention=groups)
