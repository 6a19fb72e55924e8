"""Engines beside each other (data parallel): the weights of a rank as vLLM 0.32's own classes make them."""

from typing import Any

import pytest

from conformance.cases import estimated, read
from modelserving.cli.estimate_case import Estimated

ROWS = read("engines.jsonl")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_every_byte_is_vllms(row: dict[str, Any]) -> None:
    found = estimated(row["case"])
    assert isinstance(found, Estimated), found
    assert found.memory.ranks[0].weights.value == row["weights_bytes"]
