"""Models that make embeddings or scores out of models that generate."""

from typing import Any

import pytest

from model_cases import GPUS, H100, V32, engine_config, facts_from, read
from modelserving.engine.batching import BatchFlags, batch_sizes
from modelserving.engine.defaults import resolve_dtype
from modelserving.models.facts import AttentionKind, FactsRefusal
from modelserving.models.metadata import ModelMetadata, Origin
from modelserving.models.reader import read_facts
from modelserving.sizing.weights import rank_weights

SMALL: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 1024,
    "max_position_embeddings": 512,
    "torch_dtype": "bfloat16",
}


def names(architecture: str, **more: Any) -> list[str]:
    facts = facts_from({**SMALL, "architectures": [architecture], **more})
    return [module.name for section in facts.sections for module in section.modules if not section.buffers]


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("LlamaForSequenceClassification", "score"),
        ("Qwen2ForSequenceClassification", "score"),
        ("Gemma2ForSequenceClassification", "score"),
        ("LlamaBidirectionalForSequenceClassification", "score"),
        ("Qwen2ForRewardModel", "score.2"),
        ("Qwen3Model", None),
        ("Gemma2Model", None),
    ],
)
def test_a_decoder_gets_a_small_head_for_its_own(architecture: str, head: str | None) -> None:
    found = names(architecture)
    assert "lm_head" not in found
    assert head is None or head in found
    assert V32.supports(architecture)


def test_labels_are_counted() -> None:
    for fields, count in (({}, 2), ({"num_labels": 3}, 3), ({"id2label": {"0": "a"}}, 1), ({"id2label": {}}, 2)):
        facts = facts_from({**SMALL, "architectures": ["LlamaForSequenceClassification"], **fields})
        score = next(module for section in facts.sections for module in section.modules if module.name == "score")
        assert score.out_features == (count,)


def test_what_nobody_described_is_not_converted() -> None:
    for architecture in ("NewForSequenceClassification", "NewModel", "New"):
        assert isinstance(read({**SMALL, "architectures": [architecture]}), FactsRefusal)
        assert not V32.supports(architecture)


def test_a_decoder_that_looks_both_ways_keeps_nothing() -> None:
    facts = facts_from({**SMALL, "architectures": ["Qwen2ForCausalLM"], "is_causal": False})
    assert {group.kind for group in facts.attention} == {AttentionKind.ENCODER_ONLY}


def test_scores_are_float32() -> None:
    one, three = (
        facts_from({**SMALL, "architectures": ["LlamaForSequenceClassification"], "num_labels": labels})
        for labels in (1, 129)
    )
    small, large = (rank_weights(facts, engine_config(facts), V32, 0).on_gpu.value for facts in (one, three))
    assert large - small == 128 * 256 * 4


def test_full_precision_becomes_float16() -> None:
    for architecture, dtype in (("BertModel", "float16"), ("LlamaForCausalLM", "bfloat16")):
        facts = facts_from({**SMALL, "architectures": [architecture], "torch_dtype": "float32"})
        assert resolve_dtype(facts, "auto", H100) == dtype
    gemma = facts_from(
        {**SMALL, "architectures": ["Gemma2Model"], "model_type": "gemma2", "head_dim": 64, "torch_dtype": "float32"}
    )
    assert resolve_dtype(gemma, "auto", H100) == "bfloat16"
    assert resolve_dtype(gemma, "auto", GPUS["T4"]) == "float32"


def test_a_process_reward_sees_the_whole_prompt() -> None:
    for architecture, tokens in (("Qwen2ForProcessRewardModel", 32768), ("Qwen2ForRewardModel", 8192)):
        facts = facts_from({**SMALL, "architectures": [architecture], "max_position_embeddings": 32768})
        assert batch_sizes(facts, V32, H100, facts.max_model_len, BatchFlags()) == (tokens, 1024)


def test_positions_that_no_prompt_can_use() -> None:
    config = {**SMALL, "architectures": ["XLMRobertaModel"], "max_position_embeddings": 8194}
    assert facts_from(config).max_model_len == 8194
    published = read_facts(ModelMetadata("org/model", "main", Origin.HUB, config))
    assert not isinstance(published, FactsRefusal)
    assert published.max_model_len == 8192
