"""Every family against vLLM 0.32's own code: weights, KV cache, defaults, refusals.

The engine cannot run here without a GPU; its answers are data, see tests/data/conformance/README.md.
"""

from typing import Any

import pytest

from conformance.cases import Errors, errors, estimated, read, sentence
from modelserving.cli.estimate_case import Estimated, Refused
from modelserving.sizing.cuda_graphs import capture_sizes
from modelserving.sizing.kv_cache import pool, stage_caches

ROWS = read("oracle.jsonl")
STARTED = [row for row in ROWS if "refused" not in row]
REFUSED = [row for row in ROWS if "refused" in row and row["rule"]]
ANSWERS = [(row, estimated(row["case"])) for row in STARTED]
ESTIMATED = [(row, result) for row, result in ANSWERS if isinstance(result, Estimated)]


def told(figure: str) -> Errors:
    """Errors of a figure of the KV cache."""
    return errors(
        (sentence(row["case"]), getattr(result.memory.kv_cache, figure), row["kv_cache"][figure])
        for row, result in ESTIMATED
        if "kv_cache" in row
    )


def test_the_data_covers_every_kind_of_cache() -> None:
    kinds = {group.kind.name for _, result in ESTIMATED for group in result.facts.attention}
    assert kinds >= {"FULL", "SLIDING_WINDOW", "MLA", "MAMBA", "CROSS"}
    assert len(STARTED) >= 265
    assert len(REFUSED) >= 80


def test_nothing_that_runs_is_refused() -> None:
    assert [(sentence(row["case"]), result) for row, result in ANSWERS if isinstance(result, Refused)] == []


def test_weights_agree() -> None:
    found = errors((sentence(row["case"]), _weights(row, result), row["weights_bytes"]) for row, result in ESTIMATED)
    assert found.exact >= 90, found.worst
    assert found.percentile(0.95) <= 0.5, found.worst
    assert found.worst.percent <= 3, found.worst


def _weights(row: dict[str, Any], result: Estimated) -> int:
    """All of a rank's weights: the meta device that the data was computed on offloads nothing."""
    stage: int = row.get("stage", 0)
    rank = result.memory.ranks[stage]
    return rank.weights.value + rank.offloaded_bytes


@pytest.mark.parametrize("figure", ["block_size", "bytes_per_block", "one_request_bytes", "min_bytes_to_start"])
def test_kv_cache_agrees(figure: str) -> None:
    found = told(figure)
    assert len(found.found) >= 250
    assert found.exact >= 97, found.worst
    assert found.worst.percent <= 5, found.worst


def test_a_given_pool_holds_as_many_blocks_and_tokens() -> None:
    wrong = []
    for row, result in ESTIMATED:
        if "pool" not in row or row["case"].get("max_model_len") == -1:
            continue
        cache = stage_caches(result.facts, result.config, result.gpu, result.version)[0]
        found = pool(cache, row["pool"]["available_bytes"], result.config.max_model_len)
        if (found.num_blocks, found.tokens) != (row["pool"]["num_blocks"], row["pool"]["tokens"]):
            wrong.append((sentence(row["case"]), found, row["pool"]))
    assert wrong == []


def test_defaults_agree() -> None:
    wrong = [
        (sentence(row["case"]), name, getattr(result.config, name), value)
        for row, result in ESTIMATED
        for name, value in row["engine"].items()
        if getattr(result.config, name) != value
    ]
    assert wrong == []


def test_as_many_sizes_of_graphs_are_captured() -> None:
    wrong = [
        (sentence(row["case"]), found, row["capture_sizes"])
        for row, result in ESTIMATED
        if (found := capture_sizes(result.facts, result.config, result.gpu, result.version)) != row["capture_sizes"]
    ]
    assert wrong == []


def test_refusals_agree() -> None:
    missed = [sentence(row["case"]) for row in REFUSED if isinstance(estimated(row["case"]), Estimated)]
    assert len(missed) <= 0.05 * len(REFUSED), missed


def test_every_refusal_has_a_reason_and_says_what_to_do() -> None:
    for row in REFUSED:
        result = estimated(row["case"])
        if isinstance(result, Refused):
            assert result.reason.isidentifier(), result
            assert len(result.message) > 20, result
