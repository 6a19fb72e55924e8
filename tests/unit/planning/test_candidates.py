"""Candidates: in the order of preference, and none that nobody needs to hear of."""

from collections.abc import Iterator

import pytest

from modelserving.api.choices import Fallback
from modelserving.api.reasons import Reason
from modelserving.engine.versions import engine_version
from modelserving.planning.candidates import Candidate, enumerate_candidates, preference
from modelserving.planning.checkpoints import methods
from modelserving.planning.ladder import AS_ASKED, Rung
from modelserving.planning.layouts import Tier
from modelserving.planning.placing import usable_shapes
from modelserving.planning.plan import Rejection
from modelserving.planning.planner import plan
from planning_cases import H100, H200, L40S, busy, cluster, facts, node, request

SNAPSHOT = cluster(
    *(node(f"{product}-{number}", product) for product in (H100, H200, L40S) for number in range(4)),
    pods=(busy(f"{H100}-0", 3), busy(f"{H200}-1", 8)),
)
V32 = engine_version("0.32.0")


def candidates(model: str, tier: Tier, fewest: int = 1, rung: Rung = AS_ASKED) -> Iterator[Candidate]:
    wanted = request(model)
    ways = methods(wanted, {wanted.checkpoints[0].ref: facts(model)}, wanted.precision)
    assert not isinstance(ways, Rejection)
    return enumerate_candidates(wanted, ways, usable_shapes(wanted, SNAPSHOT), tier, rung, lambda _: fewest)


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("model", ["llama31-8b", "mixtral-8x7b"])
def test_the_best_comes_first(model: str, tier: Tier) -> None:
    found = list(candidates(model, tier))
    assert found == sorted(found, key=preference)
    assert len({(each.shape.gpu.product, each.layout) for each in found}) == len(found)


def test_of_those_that_span_nodes_and_are_too_small_the_largest_is_told_of() -> None:
    every = list(candidates("llama31-8b", Tier.A_STAGE_A_NODE))
    some = list(candidates("llama31-8b", Tier.A_STAGE_A_NODE, 20))
    assert some == [each for each in every if each.gpus >= 20 or (each.gpus == 16 and each.shape.gpu.product == L40S)]
    assert list(candidates("llama31-8b", Tier.ONE_NODE, 20)) == list(candidates("llama31-8b", Tier.ONE_NODE))


def test_of_what_is_given_up_only_what_may_work_is_looked_at() -> None:
    eager = Rung((Fallback.EAGER,))
    assert {each.gpus for each in candidates("llama31-8b", Tier.ONE_NODE, 6, eager)} == {6, 7, 8}
    assert not list(candidates("llama31-8b", Tier.ONE_NODE, 9, eager))


def test_what_fits_nowhere_is_told_of_without_every_way_to_span_nodes() -> None:
    wanted = request("qwen2-72b", concurrency=100_000)
    decided = plan(wanted, {wanted.checkpoints[0].ref: facts("qwen2-72b")}, SNAPSHOT)
    assert isinstance(decided, Rejection)
    assert decided.reason == Reason.NOTHING_FITS
    assert "Nearest is 32 × NVIDIA-H200 on 4 nodes, 4 stages: short by" in decided.message
    spanning = [entry.candidate for entry in decided.rejected if "nodes" in entry.candidate]
    assert len(spanning) < 3 * 3 * 3, spanning
