"""Quantities and units."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.units import (
    GIB,
    MIB,
    QuantityError,
    ceil_div,
    format_gib,
    format_shortfall,
    memory_quantity,
    parse_millis,
    parse_quantity,
    parse_whole,
    round_up,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8", 8),
        (8, 8),
        ("80Gi", 80 * 2**30),
        ("80G", 80 * 10**9),
        ("1500m", Decimal("1.5")),
        ("1e3", 1000),
        ("1E3", 1000),
        (".5", Decimal("0.5")),
        ("2E", 2 * 10**18),
        ("100n", Decimal("1e-7")),
        ("-1", -1),
    ],
)
def test_quantities_are_read_exactly(text: str | int, number: Decimal | int) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "a", "1 Gi", "1gi", "--1", "1e", "0x10", "1" * 65, "NaN", "1e9999", "1Gi\n2"])
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(QuantityError, match="80Gi"):
        parse_quantity(text)


def test_fractions_round_up() -> None:
    assert parse_whole("1500m") == 2
    assert parse_millis("0.0001") == 1
    assert ceil_div(7, 2) == 4
    assert round_up(65, 64) == 128
    assert round_up(64, 64) == 64


@given(st.integers(min_value=0, max_value=2**60))
def test_a_written_quantity_holds_the_bytes_and_wastes_less_than_a_mebibyte(num_bytes: int) -> None:
    assert 0 <= parse_whole(memory_quantity(num_bytes)) - num_bytes < MIB


def test_gib_is_two_to_the_thirty() -> None:
    assert format_gib(144 * 10**9) == "134.1 GiB"
    assert format_gib(1024 * GIB, 0) == "1,024 GiB"


def test_a_small_shortfall_never_reads_zero() -> None:
    assert format_shortfall(15 * GIB) == "15.0 GiB"
    assert format_shortfall(GIB // 10) == "0.1 GiB"
    assert format_shortfall(50 * MIB + 1) == "51 MiB"
    assert format_shortfall(1) == "1 MiB"
