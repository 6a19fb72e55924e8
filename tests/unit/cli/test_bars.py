"""Bars: an eighth of a column exact, never too long, never invisible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cli.bars import bar

CASES = {
    "the whole takes the whole width": (10, 10, 8, "████████"),
    "a half takes half": (5, 10, 8, "████"),
    "an eighth of a column is the thinnest line": (1, 64, 8, "▏"),
    "three and a half columns": (7, 16, 8, "███▌"),
    "what is there at all is seen": (1, 10**12, 8, "▏"),
    "nothing draws nothing": (0, 10, 8, ""),
    "a deficit draws nothing": (-3, 10, 8, ""),
    "more than the whole is cut": (30, 10, 4, "████"),
    "no room, no bar": (5, 10, 0, ""),
}


@pytest.mark.parametrize(("value", "whole", "width", "drawn"), CASES.values(), ids=CASES)
def test_bar(value: int, whole: int, width: int, drawn: str) -> None:
    assert bar(value, whole, width) == drawn


@given(st.integers(0, 2**40), st.integers(1, 2**40), st.integers(1, 120))
def test_a_bar_fits_its_width_and_grows_with_its_value(value: int, whole: int, width: int) -> None:
    assert len(bar(value, whole, width)) <= width
    assert len(bar(value, whole, width)) <= len(bar(value * 2, whole, width))
