"""Data parallelism: several engines of a model with experts on one node, where that is what makes requests fit."""

from typing import Any

import pytest

from modelserving.engine.flags import arguments
from modelserving.hub.catalogue import lookup
from modelserving.models.facts import ModelFacts
from modelserving.models.metadata import CheckpointRef
from modelserving.models.reader import read_facts
from modelserving.planning.layouts import Layout, as_engines
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from planning_cases import H200, cluster, node, request

DEEPSEEK = "deepseek-ai/DeepSeek-V3"
# Weights of a rank, tensor parallel 2 of 4 engines: vLLM 0.32.0, model classes on the meta device on a faked H200.
WEIGHTS = 94_194_698_240
# A token of latent attention on a GPU: 61 layers of 512 + 64 values of 2 bytes, whatever the tensor parallel size.
BYTES_A_TOKEN = 61 * 576 * 2


def decided(model: str = DEEPSEEK, **fields: Any) -> Plan | Rejection:
    metadata = lookup(CheckpointRef(model))
    assert metadata is not None
    facts = read_facts(metadata)
    assert isinstance(facts, ModelFacts)
    asked = request(model, **fields)
    return plan(asked, {asked.checkpoints[0].ref: facts}, cluster(node("a", H200)))


def planned(**fields: Any) -> Plan:
    found = decided(**fields)
    assert isinstance(found, Plan), found
    return found


def test_engines_hold_the_cache_of_requests_that_tensor_parallelism_would_repeat() -> None:
    found = planned(context_length=65536, concurrency=16)
    config = found.config
    assert (config.tensor_parallel_size, config.data_parallel_size, config.enable_expert_parallel) == (2, 4, True)
    assert found.gpus_per_replica == found.placement.gpus_per_node == 8
    assert found.memory.tightest_rank.weights.value == WEIGHTS
    # 4 of the 16 requests are an engine's.
    assert found.memory.kv_cache.requested_bytes // (65536 * BYTES_A_TOKEN) == 4
    assert found.memory.max_concurrency >= 16
    assert "for 4 of 16 × 65,536 tokens" in found.decision
    assert "4 engines that share the requests" in found.decision
    assert any("No start with data parallelism was logged" in note for note in found.notes)


def test_one_engine_is_preferred_where_it_does() -> None:
    config = planned(context_length=65536, concurrency=4).config
    assert (config.tensor_parallel_size, config.data_parallel_size) == (8, 1)


def test_a_stated_tensor_parallel_size_is_that_of_all_gpus() -> None:
    found = decided(context_length=65536, concurrency=16, tensor_parallel_size=8, pipeline_parallel_size=1)
    assert isinstance(found, Rejection)
    assert not any("engines" in entry.candidate for entry in found.rejected)


def test_a_version_whose_code_was_not_read_is_not_given_engines() -> None:
    found = decided(context_length=65536, concurrency=16, engine_version="0.30.0")
    assert isinstance(found, Rejection) or found.config.data_parallel_size == 1


def test_vllm_is_told() -> None:
    found = planned(context_length=65536, concurrency=16)
    written = arguments(
        model=found.model,
        revision="main",
        served_model_name=found.model,
        config=found.config,
        engine_version=found.engine_version,
    )
    assert {"--tensor-parallel-size=2", "--data-parallel-size=4", "--enable-expert-parallel"} <= set(written)


def test_a_dense_model_is_never_several_engines() -> None:
    found = decided("Qwen/Qwen2-72B", context_length=32768, concurrency=200)
    assert isinstance(found, Rejection)
    assert not any("engines" in entry.candidate for entry in found.rejected)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout(8), {(4, 2), (2, 4), (1, 8)}),
        (Layout(6), {(3, 2), (2, 3), (1, 6)}),
        (Layout(1), set()),
        (Layout(2, 2), set()),
        (Layout(4, 1, 2), set()),
    ],
)
def test_the_same_gpus_as_engines(layout: Layout, expected: set[tuple[int, int]]) -> None:
    found = list(as_engines(layout))
    assert {(each.tensor_parallel_size, each.data_parallel_size) for each in found} == expected
    assert all(each.gpus == layout.gpus and each.whole_experts and each.tier is layout.tier for each in found)
