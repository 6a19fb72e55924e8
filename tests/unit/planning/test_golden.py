"""Plans for models that people know, each with the bytes that vLLM 0.32's own classes allocate for its ranks.

Weights and KV cache of every row: vLLM 0.32.0, model classes on the meta device on a faked GPU, allocator rounding included; the same
figures that tests/conformance holds `modelserving estimate` against.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from modelserving.api.choices import Fallback, Precision
from modelserving.cluster.snapshot import NodeFacts
from modelserving.hub.catalogue import lookup
from modelserving.models.facts import ModelFacts
from modelserving.models.metadata import CheckpointRef
from modelserving.models.reader import read_facts
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from planning_cases import A10G, A100, H100, H200, L40S, T4, cluster, node, request


@dataclass(frozen=True)
class Golden:
    """A model on nodes, and what must come of it; weights and one request's KV cache of each pipeline rank in bytes."""

    model: str
    fields: dict[str, Any]
    nodes: tuple[NodeFacts, ...]
    product: str
    ranks: int
    stages: int
    spans: int
    weights: tuple[int, ...]
    one_request: int
    given_up: tuple[str, ...] = ()
    quantization: str | None = None


PLANS = {
    "405B in bf16 on two nodes of 8 H100": Golden(
        *("meta-llama/Llama-3.1-405B", {}, (node("a", H100), node("b", H100)), H100, 8, 2, 2),
        weights=(50_770_016_256, 50_770_049_024),
        one_request=4_227_858_432,
    ),
    "405B leaves a third and a fourth node alone": Golden(
        *("meta-llama/Llama-3.1-405B", {}, tuple(node(name, H100) for name in "abcd"), H100, 8, 2, 2),
        weights=(50_770_016_256, 50_770_049_024),
        one_request=4_227_858_432,
    ),
    "DeepSeek-V3 in fp8 on 8 H200": Golden(
        *("deepseek-ai/DeepSeek-V3", {}, (node("a", H200),), H200, 8, 1, 1),
        weights=(85_421_720_064,),
        one_request=11_513_364_480,
        quantization="fp8",
    ),
    "DeepSeek-V3 in fp8 on two nodes of 8 H100": Golden(
        *("deepseek-ai/DeepSeek-V3", {}, (node("a", H100), node("b", H100)), H100, 8, 2, 2),
        weights=(41_398_483_456, 44_044_208_128),
        one_request=5_851_054_080,
        quantization="fp8",
    ),
    "gpt-oss-120b on one H100": Golden(
        *("openai/gpt-oss-120b", {"context_length": 32768}, (node("a", H100),), H100, 1, 1, 1),
        weights=(68_295_886_848,),
        one_request=1_817_247_744,
        quantization="gpt_oss_mxfp4",
    ),
    "Qwen2-72B on four L40S": Golden(
        *("Qwen/Qwen2-72B", {"context_length": 32768}, (node("a", L40S),), L40S, 4, 1, 1),
        weights=(36_514_627_584,),
        one_request=2_684_354_560,
    ),
    "four full requests of Qwen2-72B on four L40S with fp8 to fall back on": Golden(
        "Qwen/Qwen2-72B",
        {"context_length": 32768, "concurrency": 4, "fallbacks": (Fallback.FP8, Fallback.SHORTER_CONTEXT)},
        (node("a", L40S),),
        *(L40S, 4, 1, 1),
        weights=(18_898_714_624,),
        one_request=2_684_354_560,
        given_up=("fp8",),
        quantization="fp8_per_tensor",
    ),
    "Llama-8B on a T4, in fp8": Golden(
        "meta-llama/Llama-3.1-8B",
        {"context_length": 8192, "precision": Precision.FP8},
        (node("a", T4),),
        *(T4, 1, 1, 1),
        weights=(9_114_886_144,),
        one_request=1_073_741_824,
        quantization="fp8_per_tensor",
    ),
    "Llama-8B on the smallest GPU that holds it": Golden(
        "meta-llama/Llama-3.1-8B",
        {"context_length": 8192},
        (node("a", H100), node("b", A100), node("c", T4)),
        *(A100, 1, 1, 1),
        weights=(16_094_142_464,),
        one_request=1_073_741_824,
    ),
}


def planned(golden: Golden) -> Plan:
    asked = request(golden.model, **golden.fields)
    metadata = lookup(CheckpointRef(golden.model))
    assert metadata is not None
    facts = read_facts(metadata)
    assert isinstance(facts, ModelFacts)
    decided = plan(asked, {asked.checkpoints[0].ref: facts}, cluster(*golden.nodes))
    assert isinstance(decided, Plan), decided
    return decided


@pytest.mark.parametrize("name", PLANS)
def test_golden_plans(name: str) -> None:
    golden = PLANS[name]
    decided = planned(golden)
    config, place = decided.config, decided.placement
    assert (place.gpu_product, config.tensor_parallel_size, config.pipeline_parallel_size) == (
        golden.product,
        golden.ranks,
        golden.stages,
    )
    assert (place.nodes_per_replica, decided.given_up, decided.quantization) == (
        golden.spans,
        golden.given_up,
        golden.quantization,
    )
    assert tuple(rank.weights.value for rank in decided.memory.ranks) == golden.weights
    assert decided.memory.kv_cache.one_request_bytes == golden.one_request
    assert decided.memory.fits


def test_a_request_that_an_a10g_cannot_hold_goes_to_host_memory_as_far_as_it_must() -> None:
    asked = Golden(
        "meta-llama/Llama-3.1-8B",
        {"context_length": 32768, "concurrency": 2, "fallbacks": (Fallback.CPU_OFFLOAD,)},
        (node("a", A10G),),
        *(A10G, 1, 1, 1),
        weights=(),
        one_request=4_294_967_296,
    )
    decided = planned(asked)
    rank = decided.memory.tightest_rank
    assert decided.given_up == ("cpuOffload",)
    # What is left on the GPU and what is not make the weights that vLLM allocates without offload.
    assert abs(rank.weights.value + rank.offloaded_bytes - 16_094_142_464) < 0.001 * 16_094_142_464
    assert decided.memory.kv_cache.one_request_bytes == asked.one_request


def test_without_fallbacks_four_full_requests_of_qwen2_72b_are_rejected_on_four_l40s() -> None:
    golden = PLANS["four full requests of Qwen2-72B on four L40S with fp8 to fall back on"]
    asked = request(golden.model, **{**golden.fields, "fallbacks": ()})
    metadata = lookup(CheckpointRef(golden.model))
    assert metadata is not None
    facts = read_facts(metadata)
    assert isinstance(facts, ModelFacts)
    decided = plan(asked, {asked.checkpoints[0].ref: facts}, cluster(*golden.nodes))
    assert isinstance(decided, Rejection)
    assert {remedy.change for remedy in decided.remedies} >= {"fallbacks: [fp8]", "fallbacks: [shorterContext]"}
