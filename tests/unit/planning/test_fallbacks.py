"""What is given up, and no more of it than it takes."""

from dataclasses import replace

import pytest

from modelserving.api.choices import Fallback, Precision
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.models.metadata import CheckpointRef
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from modelserving.planning.request import Checkpoint, PlanRequest
from modelserving.units import GIB
from planning_cases import A100, H100, L40S, T4, cluster, facts, node, request

QWEN, LLAMA = "qwen2-72b", "llama31-8b"
FP8, INT4, KV = Fallback.FP8, Fallback.INT4, Fallback.FP8_KV_CACHE
OFFLOAD, SHORTER, BATCHES, EAGER = (
    Fallback.CPU_OFFLOAD,
    Fallback.SHORTER_CONTEXT,
    Fallback.SMALLER_BATCHES,
    Fallback.EAGER,
)
L40S_NODE, T4_NODE = cluster(node("a", L40S)), cluster(node("a", T4))
ONE_H100 = cluster(node("a", H100, gpus=1))


def decide(asked: PlanRequest, snapshot: ClusterSnapshot) -> Plan | Rejection:
    return plan(asked, {checkpoint.ref: facts(checkpoint.ref.model) for checkpoint in asked.checkpoints}, snapshot)


def planned(asked: PlanRequest, snapshot: ClusterSnapshot) -> Plan:
    decided = decide(asked, snapshot)
    assert isinstance(decided, Plan), decided
    return decided


def too_much(*fallbacks: Fallback) -> PlanRequest:
    """Four full contexts beside 135 GiB of weights: 6.4 GiB more than each of four L40S has."""
    return request(QWEN, concurrency=4, fallbacks=fallbacks)


def test_nothing_is_given_up_without_leave_and_the_rejection_says_what_would_help() -> None:
    decided = decide(too_much(), L40S_NODE)
    assert isinstance(decided, Rejection)
    assert {remedy.change for remedy in decided.remedies} == {
        "fallbacks: [fp8]",
        "fallbacks: [cpuOffload]",
        "fallbacks: [shorterContext]",
    }
    for remedy in decided.remedies:
        assert remedy.change in decided.message
        (fallback,) = remedy.change.removeprefix("fallbacks: [").removesuffix("]").split(", ")
        assert planned(too_much(Fallback(fallback)), L40S_NODE).given_up == (fallback,)


def test_nothing_is_given_up_where_everything_fits() -> None:
    asked = request(LLAMA, context_length=8192, fallbacks=tuple(Fallback))
    decided = planned(asked, L40S_NODE)
    assert decided.given_up == ()
    assert replace(decided, request_digest="") == replace(
        planned(replace(asked, fallbacks=()), L40S_NODE), request_digest=""
    )


def test_the_users_order_decides() -> None:
    assert planned(too_much(FP8, SHORTER), L40S_NODE).given_up == ("fp8",)
    assert planned(too_much(SHORTER, FP8), L40S_NODE).given_up == ("shorterContext",)
    assert planned(too_much(BATCHES, EAGER, OFFLOAD), L40S_NODE).given_up == ("cpuOffload",)


def test_the_context_is_as_long_as_fits() -> None:
    decided = planned(too_much(SHORTER), L40S_NODE)
    length = decided.config.max_model_len
    assert 2048 <= length < 32768
    assert decided.memory.fits
    longer = replace(too_much(), context_length=length + 1024, tensor_parallel_size=4)
    assert isinstance(decide(longer, L40S_NODE), Rejection)
    assert f"contextLength {length:,}" in decided.decision


def test_no_more_weights_go_to_host_memory_than_must() -> None:
    decided = planned(too_much(OFFLOAD), L40S_NODE)
    offloaded = decided.config.cpu_offload_bytes
    assert offloaded % GIB == 0
    less = replace(too_much(), cpu_offload_bytes=offloaded - GIB, tensor_parallel_size=4)
    assert isinstance(decide(less, L40S_NODE), Rejection)
    assert decided.memory.host_memory_bytes >= 4 * offloaded


def test_offload_never_goes_beside_weights_that_are_quantized_while_loading() -> None:
    for fallbacks in ((FP8, OFFLOAD), (OFFLOAD, FP8), (FP8, OFFLOAD, SHORTER)):
        asked = request(QWEN, context_length=32768, concurrency=16, fallbacks=fallbacks)
        decided = decide(asked, L40S_NODE)
        if isinstance(decided, Plan):
            assert not (decided.config.quantization and decided.config.cpu_offload_bytes)


def test_what_cannot_be_given_up_together_does_not_hide_what_can() -> None:
    # A T4 has neither an fp8 cache nor room for offload beside fp8: fp8 with a shorter context is all that does.
    decided = planned(request(LLAMA, fallbacks=tuple(Fallback)), T4_NODE)
    assert decided.given_up == ("fp8", "shorterContext")


def test_two_remedies_together_are_named_where_none_helps_alone() -> None:
    decided = decide(request(LLAMA), T4_NODE)
    assert isinstance(decided, Rejection)
    assert [remedy.change for remedy in decided.remedies] == ["fallbacks: [fp8, shorterContext]"]


def test_a_variant_serves_a_precision_that_is_given_up() -> None:
    variant = Checkpoint(CheckpointRef("llama31-8b-awq"), Precision.INT4)
    asked = request(LLAMA, variant, context_length=4096, concurrency=8, fallbacks=(INT4,))
    decided = planned(asked, T4_NODE)
    assert (decided.model, decided.quantization, decided.given_up) == ("llama31-8b-awq", "awq", ("int4",))


def short_by_a_quarter_gib() -> PlanRequest:
    """A memory utilization that leaves a model that would run a quarter of a GiB short on one H100."""
    asked = request(LLAMA, context_length=8192)
    fits = planned(asked, ONE_H100).memory
    least = fits.budget_bytes + fits.shortfall_bytes
    tight = replace(asked, gpu_memory_utilization=(least - GIB // 4) / fits.total_bytes)
    assert isinstance(decide(tight, ONE_H100), Rejection)
    return tight


def test_batches_are_halved_as_often_as_it_takes() -> None:
    decided = planned(replace(short_by_a_quarter_gib(), fallbacks=(BATCHES,)), ONE_H100)
    assert (decided.config.max_num_batched_tokens, decided.config.max_num_seqs) == (4096, 512)
    assert decided.given_up == ("smallerBatches",)


def test_batches_hold_what_is_to_run_at_once() -> None:
    asked = replace(too_much(BATCHES, SHORTER), context_length=64, concurrency=700)
    decided = planned(replace(asked, fallbacks=(BATCHES, FP8)), L40S_NODE)
    assert decided.config.max_num_seqs >= 700


def test_eager_mode_gives_the_memory_of_cuda_graphs_back() -> None:
    eager = planned(replace(short_by_a_quarter_gib(), fallbacks=(EAGER,)), ONE_H100)
    assert eager.config.enforce_eager
    assert eager.memory.tightest_rank.cuda_graphs.value == 0
    assert eager.given_up == ("eager",)


@pytest.mark.parametrize("fallbacks", [(FP8,), (OFFLOAD,), (SHORTER,), (FP8, OFFLOAD, SHORTER), tuple(Fallback)])
def test_a_plan_that_gives_something_up_fits(fallbacks: tuple[Fallback, ...]) -> None:
    for snapshot in (L40S_NODE, T4_NODE, cluster(node("a", A100))):
        decided = decide(request(QWEN, concurrency=4, fallbacks=fallbacks), snapshot)
        assert isinstance(decided, Rejection) or (decided.memory.fits and set(decided.given_up) <= set(fallbacks))
