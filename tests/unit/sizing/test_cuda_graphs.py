"""Captured sizes and what they take."""

from typing import Any

import pytest

from model_cases import GPUS, H100, OBSERVATIONS, V19, V32, engine_config, facts_of
from modelserving.engine.versions import engine_version
from modelserving.sizing.activation import activation_peak
from modelserving.sizing.cuda_graphs import capture_sizes, captured_bytes, cuda_graphs, outside_bytes
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
    assert capture_sizes(LLAMA, engine_config(LLAMA, max_num_seqs=sequences), GPUS[gpu], row) == sizes


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


def test_on_the_second_runner_graphs_and_peak_are_what_a_start_logged_together() -> None:
    """Llama-3.1-8B on A100 with 0.31: the logged peak of 1.44 GiB counts vLLM's estimate for graphs."""
    version, gpu = engine_version("0.31.0"), GPUS["A100-80"]
    config = engine_config(LLAMA, version, gpu)
    graphs = cuda_graphs(LLAMA, config, gpu, version, 32)
    peak = activation_peak(LLAMA, config, version, True).value - int(4.125 * 256 * 128256)
    assert (graphs.value + peak) / GIB == pytest.approx(1.44, abs=0.05)
    assert graphs.low / GIB <= 1.21 <= graphs.high / GIB


def test_few_sizes_cost_little_on_the_second_runner() -> None:
    few, all_sizes = (
        cuda_graphs(LLAMA, engine_config(LLAMA, max_num_seqs=sequences), H100, V32, 32).value for sequences in (2, 1024)
    )
    assert few < 0.2 * all_sizes


def test_experts_and_latent_attention_take_more() -> None:
    dense, mixture, latent = (
        captured_bytes(facts, engine_config(facts), facts.num_layers, 51)
        for facts in (LLAMA, facts_of("qwen3-30b-a3b"), facts_of("deepseek-v2-lite"))
    )
    assert dense / GIB == pytest.approx(0.91, abs=0.1)
    assert mixture / GIB == pytest.approx(1.41, abs=0.2)
    assert latent / GIB == pytest.approx(1.57, abs=0.2)


def test_gpt_oss_captures_more_sizes_on_every_gpu() -> None:
    facts = facts_of("gpt-oss-20b")
    assert capture_sizes(facts, engine_config(facts), H100, V32) == 83


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [
        ({"max_num_seqs": 100}, 25 + 3 + 1),
        ({"max_num_seqs": 64, "max_num_batched_tokens": 100}, 12 + 3 + 1),
        ({"max_num_seqs": 1, "max_num_batched_tokens": 1}, 1),
    ],
    ids=["a whole batch of sequences between the steps", "a batch of few tokens", "one token"],
)
def test_a_whole_batch_is_captured_too(flags: dict[str, Any], sizes: int) -> None:
    assert capture_sizes(LLAMA, engine_config(LLAMA, **flags), H100, V32) == sizes


def test_older_versions_capture_outside_the_budget() -> None:
    taken = outside_bytes(LLAMA, engine_config(LLAMA, V19), H100, V19, 32)
    assert taken / GIB == pytest.approx(0.91, abs=0.1)
    assert outside_bytes(LLAMA, engine_config(LLAMA), H100, V32, 32) == 0
