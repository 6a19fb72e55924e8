"""Rounding of torch's allocator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.sizing.allocator import allocated
from modelserving.units import MIB


@pytest.mark.parametrize(
    ("num_bytes", "older", "newer"),
    [
        (1, 512, 512),
        (512, 512, 512),
        (9 * MIB + 1, 9 * MIB + 512, 9 * MIB + 512),
        (11 * MIB, 12 * MIB, 12 * MIB),
        (10 * MIB + 512, 10 * MIB + 512, 10 * MIB + 512),
        (23 * MIB, 24 * MIB, 24 * MIB),
        (22 * MIB + 512, 22 * MIB + 512, 24 * MIB),
    ],
    ids=["a scalar", "a block", "small", "little waste", "much waste, split off", "large", "large, much waste"],
)
def test_blocks(num_bytes: int, older: int, newer: int) -> None:
    assert allocated(num_bytes, never_splits_large=False) == older
    assert allocated(num_bytes, never_splits_large=True) == newer


@given(num_bytes=st.integers(1, 2**40), whole=st.booleans())
def test_never_less_than_asked_and_never_two_mib_more(num_bytes: int, whole: bool) -> None:
    assert 0 <= allocated(num_bytes, whole) - num_bytes < 2 * MIB
