"""Which tensor-parallel sizes a model can be split over."""

from model_cases import engine_config, facts_of
from modelserving.engine.divisibility import objection, works


def test_the_sizes_that_work_are_those_without_objection() -> None:
    for model in ("llama31-8b", "qwen2-72b", "qwen2.5-7b", "mistral-7b-v01", "llava-onevision-72b"):
        facts = facts_of(model)
        for ranks in range(1, 65):
            config = engine_config(facts, tensor_parallel_size=ranks)
            assert works(facts, config) is (objection(facts, config) is None), (model, ranks)


def test_qwen_divides_by_what_heads_and_vocabulary_share() -> None:
    facts = facts_of("qwen2.5-7b")
    sizes = [ranks for ranks in range(1, 29) if works(facts, engine_config(facts, tensor_parallel_size=ranks))]
    assert sizes == [1, 2, 4]
