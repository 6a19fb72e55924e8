"""The bench's arithmetic and table."""

import io

import pytest
from rich.console import Console

from bench.figures import Figure, percentile, table

PERCENTILES = {
    "the middle of an odd number": ([3, 1, 2], 0.5, 2),
    "half of an even number": ([1, 2, 3, 4], 0.5, 2),
    "99 of 100": (list(range(1, 101)), 0.99, 99),
    "99 of 10 is the largest": (list(range(1, 11)), 0.99, 10),
    "one value is every percentile": ([7], 0.01, 7),
}


@pytest.mark.parametrize(("values", "share", "expected"), PERCENTILES.values(), ids=PERCENTILES)
def test_percentile(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_an_aim_is_met_up_to_its_value() -> None:
    assert Figure("x", "-", 3, 3).is_met
    assert not Figure("x", "-", 3.01, 3).is_met
    assert Figure("x", "-", 99, None).is_met
    assert Figure("x", "-", 11, 10, more_is_better=True).is_met
    assert not Figure("x", "-", 9, 10, more_is_better=True).is_met


def test_the_table_says_what_was_missed() -> None:
    out = io.StringIO()
    figures = [Figure("p50", "16 ms", 12.34, 15, "ms"), Figure("burst", "105 s", 41, 40, "s", "why")]
    Console(file=out, width=100).print(table(figures), highlight=False)
    lines = out.getvalue().splitlines()
    assert "12.3 ms" in lines[1]
    assert lines[1].rstrip().endswith("met")
    assert "41 s" in lines[2]
    assert lines[2].rstrip().endswith("missed")
    assert lines[-1].rstrip() == "burst: why"
