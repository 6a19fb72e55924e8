"""What the driver takes, by version and parallelism."""

import pytest

from model_cases import OBSERVATIONS, engine_config, facts_of
from modelserving.engine.versions import engine_version
from modelserving.sizing.non_torch import non_torch
from modelserving.units import GIB

LLAMA = facts_of("llama31-8b")


@pytest.mark.parametrize("row", [row for row in OBSERVATIONS if "non_torch_gib" in row], ids=lambda row: row["id"])
def test_logged_figures_lie_near(row: dict[str, float]) -> None:
    version = engine_version(str(row["vllm_version"]))
    config = engine_config(LLAMA, version, tensor_parallel_size=row["tp"], pipeline_parallel_size=row.get("pp", 1))
    term = non_torch(config, version)
    assert term.low / GIB <= row["non_torch_gib"] <= term.high / GIB
    assert term.value / GIB == pytest.approx(row["non_torch_gib"], abs=0.05)


def test_older_versions_took_less_across_ranks() -> None:
    config = engine_config(LLAMA, tensor_parallel_size=2)
    assert non_torch(config, engine_version("0.14.0")).value < non_torch(config, engine_version("0.19.0")).value
