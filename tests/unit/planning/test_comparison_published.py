"""A model as a published checkpoint of it would be, held against checkpoints that were published."""

import pytest

from model_cases import V32, engine_config, facts_of
from modelserving.cli.lookup import look_up
from modelserving.models.facts import ModelFacts, Quantization
from modelserving.models.metadata import CheckpointRef, ModelMetadata
from modelserving.models.reader import read_facts
from modelserving.planning.comparison_published import AWQ_INT4, FP8, GPTQ_INT4, W8A8, published
from modelserving.settings import Settings
from modelserving.sizing.weights import rank_weights


def from_catalogue(model: str) -> ModelFacts:
    """Facts of a checkpoint whose headers the bundled catalogue has."""
    ref = CheckpointRef(model)
    known = look_up([ref], Settings(), offline=True, timeout_seconds=1)[ref]
    assert isinstance(known, ModelMetadata), known
    read = read_facts(known)
    assert isinstance(read, ModelFacts), read
    return read


def weights(facts: ModelFacts, ranks: int = 1) -> int:
    return rank_weights(facts, engine_config(facts, tensor_parallel_size=ranks), V32, 0).on_gpu.value


@pytest.mark.parametrize(
    ("model", "checkpoint"),
    [
        ("Qwen/Qwen2-72B-Instruct", "Qwen/Qwen2-72B-Instruct-AWQ"),
        ("Qwen/Qwen2.5-32B-Instruct", "Qwen/Qwen2.5-32B-Instruct-AWQ"),
        ("Qwen/Qwen2.5-14B-Instruct", "Qwen/Qwen2.5-14B-Instruct-AWQ"),
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct-AWQ"),
    ],
)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_it_weighs_what_the_checkpoint_that_was_published_weighs(model: str, checkpoint: str, ranks: int) -> None:
    estimate, _ = published(from_catalogue(model), AWQ_INT4)
    assert weights(estimate, ranks) == pytest.approx(weights(from_catalogue(checkpoint), ranks), rel=0.001)


def test_groups_that_two_gpus_would_cut_are_padded_as_qwen_padded_them() -> None:
    estimate, note = published(facts_of("qwen2-72b"), AWQ_INT4)
    assert estimate.intermediate_size == 29696
    assert "29,568 is padded to 29,696" in note


@pytest.mark.parametrize("model", ["llama31-8b", "qwen2.5-7b", "qwen3-30b-a3b", "mixtral-8x7b"])
def test_groups_that_divide_by_two_are_left_alone(model: str) -> None:
    estimate, note = published(facts_of(model), GPTQ_INT4)
    assert (estimate.intermediate_size, note) == (facts_of(model).intermediate_size, "")


@pytest.mark.parametrize("quantization", [FP8, W8A8])
def test_without_groups_nothing_is_padded(quantization: Quantization) -> None:
    estimate, note = published(facts_of("qwen2-72b"), quantization)
    assert (estimate.intermediate_size, note) == (29568, "")


def test_towers_heads_and_routers_stay_as_they_are() -> None:
    for model in ("llava-onevision-72b", "qwen3-30b-a3b"):
        estimate, _ = published(facts_of(model), AWQ_INT4)
        quantized = {module.name for section in estimate.sections for module in section.modules if module.quantized}
        assert quantized
        assert not [
            name for name in quantized if "vision" in name or name.endswith(("lm_head", "embed_tokens", "gate"))
        ]


def test_a_checkpoint_can_be_made_of_one_that_is_quantized() -> None:
    plain, stored = facts_of("llama31-8b"), facts_of("llama31-8b-awq")
    assert weights(published(stored, W8A8)[0]) == weights(published(plain, W8A8)[0])
