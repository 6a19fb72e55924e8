"""Heads that a checkpoint stores or lacks, whatever config.json says."""

from typing import Any

from model_cases import facts_from
from modelserving.models.facts import ModelFacts
from modelserving.models.metadata import TensorGroup

SMALL: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 1024,
    "torch_dtype": "bfloat16",
}
VISION = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "image_size": 28, "patch_size": 14}
MISTRAL: dict[str, Any] = {
    "architectures": ["Mistral3ForConditionalGeneration"],
    "text_config": {**SMALL, "model_type": "mistral"},
    "vision_config": VISION,
}
HEAD = TensorGroup("language_model.lm_head.weight", (1024, 256), "BF16")
EMBEDDING = TensorGroup("embed_tokens.weight", (1024, 256), "BF16")


def heads(facts: ModelFacts) -> list[str | None]:
    """What the output head is tied to, where there is one."""
    return [
        module.tied_to
        for section in facts.sections
        for module in section.modules
        if module.name.endswith("lm_head") and not section.buffers
    ]


def test_a_head_that_only_the_class_would_tie_is_its_own_where_it_is_stored() -> None:
    assert heads(facts_from(MISTRAL)) == ["language_model.model.embed_tokens"]
    assert heads(facts_from(MISTRAL, (HEAD,))) == [None]


def test_a_head_that_config_calls_tied_is_a_copy() -> None:
    inner = {**MISTRAL, "text_config": {**SMALL, "model_type": "mistral", "tie_word_embeddings": True}}
    for config in ({**MISTRAL, "tie_word_embeddings": True}, inner):
        assert heads(facts_from(config, (HEAD,))) == ["language_model.model.embed_tokens"]


def test_a_bare_decoder_without_a_head_embeds() -> None:
    config = {**SMALL, "architectures": ["LlamaModel"]}
    assert heads(facts_from(config)) == [None]
    facts = facts_from(config, (EMBEDDING,))
    assert heads(facts) == []
    assert facts.pooling
