"""Captured sizes and what they take."""

import pytest

from model_cases import GPUS, H100, OBSERVATIONS, V19, V32, engine_config, facts_of
from modelserving.engine.versions import engine_version
from modelserving.sizing.cuda_graphs import capture_sizes, captured_bytes, cuda_graphs
from modelserving.sizing.sharding import stage_layers
from modelserving.units import GIB

LLAMA = facts_of("llama31-8b")


@pytest.mark.parametrize(
    ("sequences", "gpu", "version", "sizes"),
    [
        (1024, "H100-80", "0.32.0", 51),
        (1024, "B200", "0.32.0", 83),
        (1024, "B200", "0.31.0", 51),
        (8, "H100-80", "0.32.0", 5),
        (1, "H100-80", "0.32.0", 2),
        (128, "H100-80", "0.32.0", 35),
    ],
)
def test_sizes_follow_sequences_and_gpu(sequences: int, gpu: str, version: str, sizes: int) -> None:
    row = engine_version(version)
    assert capture_sizes(engine_config(LLAMA, max_num_seqs=sequences), GPUS[gpu], row) == sizes


def test_what_graphs_took_on_real_starts() -> None:
    for row in OBSERVATIONS:
        if row["vllm_version"] != "0.19.0" or "cuda_graph_gib" not in row:
            continue
        facts = facts_of("llama31-8b" if "Llama" in row["model"] else "qwen2.5-7b")
        config = engine_config(facts, V19, tensor_parallel_size=row["tp"])
        layers = len(stage_layers(facts.num_layers, row.get("pp", 1))[0])
        assert captured_bytes(facts, config, layers, 51) / GIB == pytest.approx(row["cuda_graph_gib"], abs=0.25), row[
            "id"
        ]


def test_eager_and_older_versions_take_nothing_from_the_budget() -> None:
    assert cuda_graphs(LLAMA, engine_config(LLAMA, enforce_eager=True), H100, V32, 32).high == 0
    older = cuda_graphs(LLAMA, engine_config(LLAMA, V19), H100, V19, 32)
    assert older.high == 0
    assert "outside the budget" in older.source
    assert captured_bytes(LLAMA, engine_config(LLAMA), 32, 0) == 0


def test_the_band_holds_what_is_known() -> None:
    term = cuda_graphs(LLAMA, engine_config(LLAMA), H100, V32, 32)
    assert term.low / GIB <= 0.23
    assert term.high / GIB >= 0.91
