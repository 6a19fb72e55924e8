"""Small made-up models, stored in ways that published ones of the data are not: every figure is vLLM 0.32's own."""

from typing import Any

import pytest

from conformance.cases import estimated, read
from modelserving.cli.estimate_case import Estimated, Refused

ROWS = read("made_up.jsonl")
STARTED = [row for row in ROWS if "refused" not in row]
REFUSED = [row for row in ROWS if "refused" in row]


@pytest.mark.parametrize("row", STARTED, ids=lambda row: row["name"])
def test_every_byte_is_vllms(row: dict[str, Any]) -> None:
    found = estimated(row["case"])
    assert isinstance(found, Estimated), found
    assert found.memory.ranks[0].weights.value == row["weights_bytes"]
    expected = row.get("kv_cache", {})
    assert {name: getattr(found.memory.kv_cache, name) for name in expected} == expected


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row["name"])
def test_what_vllm_refuses_is_refused(row: dict[str, Any]) -> None:
    assert isinstance(estimated(row["case"]), Refused)
