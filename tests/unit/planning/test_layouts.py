"""How a replica may be spread over GPUs and nodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.planning.layouts import MOST_NODES, Layout, Limits, Tier, layouts


def found(tier: Tier, **limits: int) -> set[tuple[int, int, int]]:
    known = {"gpus_per_node": 4, "nodes": 3, "most_gpus": 64, "most_stages": 80} | limits
    return {
        (layout.tensor_parallel_size, layout.pipeline_parallel_size, layout.nodes)
        for alike in layouts(Limits(**known), tier).values()
        for layout in alike
    }


@pytest.mark.parametrize(
    ("tier", "limits", "expected"),
    [
        (Tier.ONE_NODE, {}, {(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1)}),
        (Tier.ONE_NODE, {"most_gpus": 2}, {(1, 1, 1), (2, 1, 1)}),
        (Tier.ONE_NODE, {"tensor_parallel_size": 3}, {(3, 1, 1)}),
        (Tier.ONE_NODE, {"pipeline_parallel_size": 2}, set()),
        (Tier.STAGES_ON_A_NODE, {}, {(1, 2, 1), (1, 3, 1), (1, 4, 1), (2, 2, 1)}),
        (Tier.STAGES_ON_A_NODE, {"most_stages": 1}, set()),
        (Tier.STAGES_ON_A_NODE, {"pipeline_parallel_size": 4}, {(1, 4, 1)}),
        (Tier.A_STAGE_A_NODE, {"nodes": 2}, {(1, 2, 2), (2, 2, 2), (3, 2, 2), (4, 2, 2)}),
        (Tier.A_STAGE_A_NODE, {"nodes": 1}, set()),
        (Tier.STAGES_ON_NODES, {"nodes": 2}, {(1, 4, 2), (1, 6, 2), (1, 8, 2), (2, 4, 2)}),
        (Tier.ACROSS_NODES, {"nodes": 2}, {(2, 1, 2), (4, 1, 2), (6, 1, 2), (8, 1, 2)}),
    ],
)
def test_layouts_of_a_tier(tier: Tier, limits: dict[str, int], expected: set[tuple[int, int, int]]) -> None:
    assert found(tier, **limits) == expected


@given(st.integers(1, 8), st.integers(1, 20), st.integers(1, 64), st.integers(1, 100))
def test_every_layout_keeps_to_the_limits_and_stands_in_one_tier(
    gpus_per_node: int, nodes: int, most_gpus: int, most_stages: int
) -> None:
    limits = Limits(gpus_per_node, nodes, most_gpus, most_stages)
    seen: set[Layout] = set()
    for tier in Tier:
        for size, layout in ((size, each) for size, alike in layouts(limits, tier).items() for each in alike):
            assert size == (layout.nodes, layout.gpus)
            assert layout.tier is tier
            assert layout not in seen
            seen.add(layout)
            assert layout.gpus_per_node * layout.nodes == layout.gpus <= most_gpus
            assert layout.gpus_per_node <= gpus_per_node
            assert layout.nodes <= min(nodes, MOST_NODES)
            assert layout.pipeline_parallel_size <= most_stages
