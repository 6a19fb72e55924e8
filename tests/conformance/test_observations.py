"""Estimates against what real starts of vLLM logged on real GPUs; origin: tests/data/conformance/README.md.

Starts whose model nobody described, or whose GPU is not named, have no estimate and do not count.
"""

from typing import Any

import pytest

from conformance.cases import Errors, errors, estimated, read
from modelserving.cli.estimate_case import Estimated
from modelserving.sizing.budget import RankMemory, Term
from modelserving.units import GIB

Row = tuple[dict[str, Any], Estimated]
ROWS = [(row, result) for row in read("observations.jsonl") if isinstance(result := estimated(row["case"]), Estimated)]
RAN = [(row, result) for row, result in ROWS if "oom" not in row]
# Told to be 0.11, but sampled without sorting and took as much besides PyTorch as 0.17 does: peak and KV cache are those of 0.17.
_OF_ANOTHER_VERSION = "llmd-mistral-small32-24b-h100"
# Logs are read to a hundredth of a GiB; a smaller figure says nothing about a share.
_ROUNDING_BYTES = 0.006 * GIB
_SMALLEST_GIB = 0.05


def of_version(prefix: str, gpu: str) -> list[Row]:
    """Starts of a version on a GPU."""
    return [
        (row, result)
        for row, result in RAN
        if str(row["case"].get("vllm_version", "")).startswith(prefix) and gpu in str(row["case"].get("gpu"))
    ]


OF_019 = of_version("0.19", "H100")


def figure(rank: RankMemory, name: str) -> Term:
    """A term by the name it has in the data."""
    if name == "kv_cache":
        return Term(rank.kv_cache_available, rank.kv_cache_available_low, rank.kv_cache_available_high, "")
    if name == "activation_peak":
        return rank.logged_peak
    if name == "cuda_graphs":
        return rank.graphs_captured
    term: Term = getattr(rank, name)
    return term


def told(rows: list[Row], name: str) -> Errors:
    """Errors of a figure."""
    return errors(
        (row["id"], figure(result.memory.ranks[0], name).value, row["logged"][name] * GIB)
        for row, result in rows
        if row["logged"].get(name, 0) >= _SMALLEST_GIB
    )


def test_the_data_covers_what_is_claimed() -> None:
    assert len(OF_019) >= 38
    assert len(RAN) >= 70


def test_weights_of_019_on_h100() -> None:
    assert told(OF_019, "weights").median <= 0.3


def test_activation_peaks_of_019_on_h100() -> None:
    found = told(OF_019, "activation_peak")
    assert found.median <= 3
    assert found.worst.percent <= 10, found.worst


def test_kv_pools_of_019_on_h100() -> None:
    found = told(OF_019, "kv_cache")
    assert found.median <= 1
    assert found.worst.percent <= 5, found.worst


def test_captured_graphs_of_019_on_h100() -> None:
    found = told(OF_019, "cuda_graphs")
    assert found.median <= 10
    assert found.percentile(0.9) <= 25, found.worst


def test_kv_pools_of_all_versions() -> None:
    assert told(RAN, "kv_cache").median <= 2.5


def test_starts_of_older_versions_on_h100() -> None:
    for version in ("0.11", "0.15", "0.16", "0.17", "0.18"):
        rows = [row for row in of_version(version, "H100") if row[0]["id"] != _OF_ANOTHER_VERSION]
        assert rows, version
        assert told(rows, "kv_cache").worst.percent <= 1, version


def test_a_start_of_0_17_is_known_by_its_figures() -> None:
    row = next(row for row, _ in RAN if row["id"] == _OF_ANOTHER_VERSION)
    later = estimated(row["case"] | {"vllm_version": "0.17.0"})
    assert isinstance(later, Estimated)
    assert later.memory.ranks[0].kv_cache_available / GIB == pytest.approx(row["logged"]["kv_cache"], rel=0.01)


@pytest.mark.parametrize("name", ["weights", "activation_peak", "non_torch", "cuda_graphs", "kv_cache"])
def test_logged_figures_lie_inside_the_bands(name: str) -> None:
    outside, count = [], 0
    for row, result in RAN:
        value = row["logged"].get(name, 0) * GIB
        if value < _SMALLEST_GIB * GIB:
            continue
        count += 1
        term = figure(result.memory.ranks[0], name)
        if not term.low - _ROUNDING_BYTES <= value <= term.high + _ROUNDING_BYTES:
            outside.append(row["id"])
    assert count >= 45
    assert len(outside) <= 0.1 * count, outside


def test_what_vllm_set_aside_for_graphs_lies_inside_the_band_of_its_version() -> None:
    """0.19 logged its estimate without using it; 0.20 with the same runner takes it out of the KV cache."""
    outside, count = [], 0
    for row, _ in OF_019:
        if "cuda_graphs_set_aside" not in row["logged"]:
            continue
        later = estimated(row["case"] | {"vllm_version": "0.20.0"})
        assert isinstance(later, Estimated)
        count += 1
        term, value = later.memory.ranks[0].cuda_graphs, row["logged"]["cuda_graphs_set_aside"] * GIB
        if not term.low <= value <= term.high:
            outside.append((row["id"], value / GIB, term))
    assert count >= 25
    assert len(outside) <= 0.1 * count, outside


def test_most_runs_that_went_out_of_memory_are_not_called_fitting() -> None:
    """All of them are older than the oldest version with data, which took whole prompts into one batch."""
    ran_out = [(row["id"], result.memory.fits) for row, result in ROWS if "oom" in row]
    assert len(ran_out) >= 5
    assert sum(fits for _, fits in ran_out) <= len(ran_out) / 2, ran_out
