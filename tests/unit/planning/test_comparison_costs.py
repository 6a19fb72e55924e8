"""What methods cost: every claim has a source, every method a cost."""

import pytest

from modelserving.planning import comparison_costs
from modelserving.planning.comparison_costs import UNKNOWN, Cost

COSTS = {name: cost for name, cost in vars(comparison_costs).items() if isinstance(cost, Cost)}


@pytest.mark.parametrize("name", COSTS)
def test_each_says_something_on_everything(name: str) -> None:
    cost = COSTS[name]
    assert all(text and text == text.strip() and not text.endswith(".") for text in (cost.quality, cost.speed))
    assert cost.evidence


@pytest.mark.parametrize("name", COSTS)
def test_a_figure_has_a_source_that_can_be_looked_up(name: str) -> None:
    cost = COSTS[name]
    claims = f"{cost.quality} {cost.speed}"
    if any(character.isdigit() for character in claims) and claims != f"{UNKNOWN} {UNKNOWN}":
        sources = ("arXiv", "vLLM", "Neural Magic", "model card", "IEEE", "by definition")
        assert any(source in cost.evidence for source in sources)
