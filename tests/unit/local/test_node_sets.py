"""Node sets are named by as much of their names as tells them apart: what the Makefile shows must not become ambiguous."""

import pytest

from localcluster import node_set_names


@pytest.mark.parametrize("short", ["h100", "h200", "a100", "l40s", "t4", "a10g", "mi300x", "mixed"])
def test_the_short_name_of_a_product_means_one_node_set(short: str) -> None:
    assert len([name for name in node_set_names() if name.startswith(short)]) == 1
