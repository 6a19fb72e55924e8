"""What the driver takes, by version and parallelism."""

import pytest

from model_cases import GPUS, H100, OBSERVATIONS, engine_config, facts_of
from modelserving.engine.versions import engine_version
from modelserving.sizing.non_torch import non_torch
from modelserving.units import GIB

LLAMA = facts_of("llama31-8b")


@pytest.mark.parametrize("row", [row for row in OBSERVATIONS if "non_torch_gib" in row], ids=lambda row: row["id"])
def test_logged_figures_lie_near(row: dict[str, float]) -> None:
    version = engine_version(str(row["vllm_version"]))
    config = engine_config(LLAMA, version, tensor_parallel_size=row["tp"], pipeline_parallel_size=row.get("pp", 1))
    term = non_torch(config, H100, version)
    assert term.low / GIB <= row["non_torch_gib"] <= term.high / GIB
    assert term.value / GIB == pytest.approx(row["non_torch_gib"], abs=0.05)


def test_older_versions_took_less_across_ranks() -> None:
    config = engine_config(LLAMA, tensor_parallel_size=2)
    assert (
        non_torch(config, H100, engine_version("0.14.0")).value
        < non_torch(config, H100, engine_version("0.19.0")).value
    )


def test_ranks_without_the_fused_all_reduce_take_less() -> None:
    version = engine_version("0.32.0")
    config = engine_config(LLAMA, tensor_parallel_size=4)
    fused, plain = (non_torch(config, GPUS[name], version) for name in ("H100-80", "L40S"))
    assert plain.value < fused.value / 3
    assert plain.high < fused.value


def test_the_source_names_the_version_it_was_measured_with() -> None:
    config = engine_config(LLAMA)
    sources = [non_torch(config, H100, engine_version(text)).source for text in ("0.11.0", "0.19.0", "0.32.0")]
    assert [source.rsplit(" ", 1)[1] for source in sources] == ["0.8", "0.18", "0.28"]


@pytest.mark.parametrize("gpu", ["H100-80", "L40S"])
def test_engines_of_one_gpu_take_what_ranks_without_the_fused_all_reduce_do(gpu: str) -> None:
    version = engine_version("0.32.0")
    engines = non_torch(engine_config(LLAMA, data_parallel_size=4), GPUS[gpu], version)
    ranks = non_torch(engine_config(LLAMA, tensor_parallel_size=4), GPUS["L40S"], version)
    assert (engines.value, engines.low, engines.high) == (ranks.value, ranks.low, ranks.high)
