"""What each pipeline stage holds."""

import pytest

from model_cases import V32, config_of, engine_config, facts_from, facts_of
from modelserving.models.facts import Stage
from modelserving.sizing.sharding import alike_stages, keeps_towers, stage_layers, stage_sections
from modelserving.sizing.weights import rank_weights
from planning_cases import facts


@pytest.mark.parametrize(
    ("layers", "stages", "counts"),
    [
        (32, 1, [32]),
        (32, 2, [16, 16]),
        (32, 3, [11, 11, 10]),
        (31, 4, [8, 8, 8, 7]),
        (5, 4, [1, 1, 2, 1]),
        (2, 2, [1, 1]),
    ],
)
def test_layers_left_over_go_before_the_last_stage(layers: int, stages: int, counts: list[int]) -> None:
    found = stage_layers(layers, stages)
    assert [len(stage) for stage in found] == counts
    assert [index for stage in found for index in stage] == list(range(layers))


def test_ends_are_on_the_end_stages() -> None:
    facts = facts_of("llama31-8b")
    held = [{item.section.stage for item in stage_sections(facts, stage, 3, with_towers=False)} for stage in range(3)]
    assert held == [
        {Stage.FIRST, Stage.LAYERS, Stage.EVERY},
        {Stage.LAYERS, Stage.EVERY},
        {Stage.LAYERS, Stage.LAST, Stage.EVERY},
    ]


def test_a_tied_head_is_a_copy_on_another_stage() -> None:

    tied, untied = facts_from(config_of("qwen2.5-7b", tie_word_embeddings=True)), facts_of("qwen2.5-7b")
    head = 152_064 * 3584 * 2
    for stages, saved in ((1, head), (2, 0)):
        config = engine_config(tied, pipeline_parallel_size=stages)
        last = stages - 1
        difference = (
            rank_weights(untied, config, V32, last).on_gpu.value - rank_weights(tied, config, V32, last).on_gpu.value
        )
        assert saved <= difference <= saved + 2 * 2**20 * bool(saved)


@pytest.mark.parametrize(
    ("limits", "kept"),
    [((), True), ((("image", 0),), True), ((("image", 0), ("video", 0)), False), ((("image", 2), ("video", 0)), True)],
)
def test_towers_are_left_out_when_no_item_is_allowed(limits: tuple[tuple[str, int], ...], kept: bool) -> None:
    assert keeps_towers(facts_of("llava-onevision-72b"), limits) is kept
    assert not keeps_towers(facts_of("llama31-8b"), limits)


@pytest.mark.parametrize("model", ["llama31-8b", "gemma2-9b", "deepseek-v2-lite", "qwen3-30b-a3b", "nemotron-h-8b"])
@pytest.mark.parametrize("stages", [1, 2, 3, 5, 8])
def test_stages_that_are_taken_for_alike_hold_the_same(model: str, stages: int) -> None:
    known = facts(model)
    found = alike_stages(known, stages)
    assert len(found) == stages
    for stage, first in enumerate(found):
        assert first <= stage
        assert found[first] == first
        assert stage_sections(known, stage, stages, True) == stage_sections(known, first, stages, True)
    if stages > 2:
        assert found[0] == 0
        assert found[-1] == stages - 1
