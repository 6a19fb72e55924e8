"""The decision: fewest GPUs that vLLM can really run the model on, or the reason why there are none."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.api.modelserving import Precision
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts, Taint
from modelserving.models.facts import FactsRefusal
from modelserving.models.metadata import CheckpointRef, MetadataFailure
from modelserving.planning.placing import refreshed
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from modelserving.planning.request import Checkpoint, PlanRequest
from modelserving.units import GIB
from planning_cases import A100, H100, H200, L40S, PRODUCTS, T4, busy, cluster, facts, node, request

LLAMA, QWEN, LLAVA = "llama31-8b", "qwen2-72b", "llava-onevision-72b"
EVERY_NODE = tuple(node(f"{product.lower()}-{number}", product) for product in PRODUCTS for number in (1, 2))


def decide(asked: PlanRequest, snapshot: ClusterSnapshot) -> Plan | Rejection:
    known = {checkpoint.ref: facts(checkpoint.ref.model) for checkpoint in asked.checkpoints}
    return plan(asked, known, snapshot)


def planned(asked: PlanRequest, snapshot: ClusterSnapshot) -> Plan:
    decided = decide(asked, snapshot)
    assert isinstance(decided, Plan), decided
    return decided


def rejected(asked: PlanRequest, snapshot: ClusterSnapshot) -> Rejection:
    decided = decide(asked, snapshot)
    assert isinstance(decided, Rejection), decided
    return decided


@pytest.mark.parametrize(
    ("model", "fields", "nodes", "gpus", "product"),
    [
        (LLAVA, {"context_length": 32768, "concurrency": 4}, EVERY_NODE, 2, H200),
        (LLAVA, {"context_length": 32768, "concurrency": 4}, (node("a", H100),), 4, H100),
        (LLAVA, {"context_length": 32768}, (node("a", A100),), 8, A100),
        (LLAMA, {"context_length": 8192}, (node("a", H100),), 1, H100),
        (LLAMA, {"context_length": 8192}, (node("a", A100),), 1, A100),
        (LLAMA, {"context_length": 8192}, (node("a", L40S),), 1, L40S),
        (LLAMA, {"context_length": 8192}, EVERY_NODE, 1, A100),
        (QWEN, {"context_length": 32768}, (node("a", H100),), 4, H100),
        (QWEN, {"context_length": 32768}, (node("a", H200),), 2, H200),
        (QWEN, {"precision": Precision.FP8, "context_length": 32768}, (node("a", H100),), 2, H100),
    ],
)
def test_the_fewest_gpus_win(
    model: str, fields: dict[str, Any], nodes: tuple[NodeFacts, ...], gpus: int, product: str
) -> None:
    decided = planned(request(model, **fields), cluster(*nodes))
    assert (decided.gpus_per_replica, decided.placement.gpu_product) == (gpus, product)
    assert decided.memory.fits
    assert decided.placement.waiting == ""
    # Every way with fewer GPUs was looked at and has its reason.
    assert {entry.gpus for entry in decided.rejected if entry.gpu_product == product} >= set(range(1, gpus))


def test_the_smaller_product_serves_so_that_the_larger_stays_free() -> None:
    decided = planned(request(LLAMA, context_length=8192), cluster(node("a", H200), node("b", L40S)))
    assert decided.placement.gpu_product == L40S
    assert [alternative.candidate for alternative in decided.alternatives] == [f"1 × {H200}"]


def test_a_model_too_large_for_the_cluster_is_rejected_with_the_nearest_candidate() -> None:
    decided = rejected(request(QWEN, context_length=32768, concurrency=4), cluster(node("a", T4), node("b", L40S)))
    assert decided.reason == "InsufficientGPUMemory"
    assert "4 × NVIDIA-L40S" in decided.message
    assert "135.4 GiB of weights" in decided.message
    assert {entry.candidate for entry in decided.rejected} == {
        f"1 × {T4}",
        *(f"{n} × {L40S}" for n in (1, 2, 3, 4)),
        *(f"{n} × {L40S}, {n} stages" for n in (2, 3, 4)),
        f"4 × {L40S}, 2 stages",
    }


def test_a_context_that_is_a_little_too_long_says_which_would_fit_and_it_does() -> None:
    asked = request(LLAMA, context_length=131072, concurrency=2)
    decided = rejected(asked, cluster(node("a", L40S, gpus=1)))
    (entry,) = decided.rejected
    length = int(entry.message.rsplit("contextLength ≤ ", 1)[1].replace(",", ""))
    assert planned(replace(asked, context_length=length), cluster(node("a", L40S, gpus=1))).gpus_per_replica == 1
    assert isinstance(decide(replace(asked, context_length=length + 16), cluster(node("a", L40S, gpus=1))), Rejection)


def test_busy_gpus_are_not_planned_on_while_others_are_free() -> None:
    snapshot = cluster(node("a", H200), node("b", H100), pods=(busy("a", 7),))
    decided = planned(request(LLAVA, context_length=32768, concurrency=4), snapshot)
    assert (decided.gpus_per_replica, decided.placement.gpu_product) == (4, H100)


def test_where_nothing_is_free_the_plan_says_what_it_waits_for() -> None:
    snapshot = cluster(node("a", H200), pods=(busy("a", 7),))
    decided = planned(request(LLAVA, context_length=32768, concurrency=4), snapshot)
    assert decided.gpus_per_replica == 2
    assert decided.placement.free_now == 0
    assert "1 of 8 are free" in decided.placement.waiting


def test_gpus_of_the_own_running_pods_count_as_free() -> None:
    asked = request(LLAVA, context_length=32768)
    decided = planned(asked, cluster(node("a", H200), pods=(busy("a", 8, owner=asked.key),)))
    assert decided.placement.waiting == ""


def test_all_replicas_are_placed_before_fewer_gpus_that_cannot_take_them() -> None:
    snapshot = cluster(node("a", H200, gpus=2), node("b", H100), node("c", H100))
    decided = planned(request(LLAVA, context_length=32768, replicas=3), snapshot)
    assert (decided.gpus_per_replica, decided.placement.gpu_product, decided.placement.free_now) == (4, H100, 4)


@pytest.mark.parametrize(
    ("size", "reason"),
    [(3, "heads"), (5, "heads"), (7, "heads")],
)
def test_a_tensor_parallel_size_that_vllm_refuses_is_rejected_with_its_rule(size: int, reason: str) -> None:
    decided = rejected(request(QWEN, tensor_parallel_size=size), cluster(node("a", H200)))
    assert reason in decided.message


def test_a_tensor_parallel_size_that_was_asked_for_is_used() -> None:
    assert planned(request(LLAMA, tensor_parallel_size=4), cluster(node("a", H100))).gpus_per_replica == 4


def test_the_most_gpus_a_replica_may_take_are_not_exceeded() -> None:
    decided = rejected(request(LLAVA, max_gpus_per_replica=2), cluster(node("a", H100)))
    assert max(entry.gpus for entry in decided.rejected) == 2


@pytest.mark.parametrize(
    ("fields", "nodes", "says"),
    [
        ({}, (), "None of 0 nodes has GPUs"),
        ({}, (NodeFacts("cpu"),), "None of 1 nodes has GPUs"),
        ({"gpu_products": ("NVIDIA-B200",)}, (node("a", H100),), "spec.gpu.products (NVIDIA-B200)"),
        ({"tensor_parallel_size": 16}, (node("a", H100),), "tensorParallelSize 16"),
        ({}, (replace(node("a", H100), ready=False),), "a: node is not ready"),
        ({}, (replace(node("a", H100), schedulable=False),), "a: node is cordoned"),
        ({}, (replace(node("a", H100), taints=(Taint("x", "y"),)),), "x=y:NoSchedule is not tolerated"),
        ({"node_selector": (("pool", "a"),)}, (node("a", H100),), "spec.pod.nodeSelector"),
        ({}, (node("a", H100, None, **{"nvidia.com/gpu.memory": "junk"}),), "'junk'"),
    ],
)
def test_no_usable_node_says_why(fields: dict[str, Any], nodes: tuple[NodeFacts, ...], says: str) -> None:
    decided = rejected(request(LLAMA, **fields), cluster(*nodes))
    assert decided.reason == "NoGPUNodes"
    assert says in decided.message


def test_a_model_vllm_has_no_class_for_is_sized_and_refused_with_what_runs_instead() -> None:
    decided = rejected(request("llava-video-72b-qwen2"), cluster(*EVERY_NODE))
    assert "136.3 GiB" in decided.message
    assert "LlavaQwenForCausalLM" in decided.message
    assert "llava-hf/llava-onevision-qwen2-72b-ov-hf" in decided.message
    assert len(decided.rejected) == 1


def test_bfloat16_becomes_float16_where_the_gpu_has_none_and_the_plan_says_so() -> None:
    decided = planned(request("qwen2.5-7b", context_length=1024, cpu_offload_bytes=6 * GIB), cluster(node("a", T4)))
    assert (decided.config.dtype, decided.precision, decided.stored) == ("float16", "fp16", False)


@pytest.mark.parametrize(
    ("model", "asked", "precision", "quantization", "stored"),
    [
        (LLAMA, Precision.AUTO, "bf16", None, True),
        (LLAMA, Precision.BF16, "bf16", None, True),
        (LLAMA, Precision.FP16, "fp16", None, False),
        (LLAMA, Precision.FP32, "fp32", None, False),
        (LLAMA, Precision.FP8, "fp8", "fp8_per_tensor", False),
        ("llama31-8b-awq", Precision.AUTO, "int4", "awq", True),
        ("llama31-8b-awq", Precision.INT4, "int4", "awq", True),
        ("llama31-8b-ct-fp8", Precision.FP8, "fp8", "compressed-tensors", True),
    ],
)
def test_precision_is_honoured(
    model: str, asked: Precision, precision: str, quantization: str | None, stored: bool
) -> None:
    decided = planned(request(model, precision=asked, context_length=4096), cluster(node("a", H100)))
    assert (decided.precision, decided.quantization, decided.stored) == (precision, quantization, stored)


@pytest.mark.parametrize("asked", [Precision.INT8, Precision.INT4])
def test_integer_precision_without_a_variant_says_how_to_name_one(asked: Precision) -> None:
    decided = rejected(request(LLAMA, precision=asked), cluster(node("a", H100)))
    assert decided.reason == "VariantNeeded"
    assert f"precision: {asked}" in decided.message


def test_a_variant_of_the_precision_asked_for_is_served() -> None:
    variant = Checkpoint(CheckpointRef("llama31-8b-awq"), Precision.INT4)
    decided = planned(request(LLAMA, variant, precision=Precision.INT4, context_length=4096), cluster(node("a", H100)))
    assert (decided.model, decided.quantization) == ("llama31-8b-awq", "awq")


def test_a_stored_variant_is_preferred_to_quantizing_at_every_start() -> None:
    variant = Checkpoint(CheckpointRef("llama31-8b-ct-fp8"), Precision.FP8)
    decided = planned(request(LLAMA, variant, precision=Precision.FP8, context_length=4096), cluster(node("a", H100)))
    assert (decided.model, decided.stored) == ("llama31-8b-ct-fp8", True)


def test_a_variant_that_is_not_what_it_is_listed_as_is_refused() -> None:
    variant = Checkpoint(CheckpointRef("llama31-8b-ct-fp8"), Precision.INT4)
    decided = rejected(request(LLAMA, variant, precision=Precision.INT4), cluster(node("a", H100)))
    assert "llama31-8b-ct-fp8 is listed in spec.variants as int4, but it is stored as fp8" in decided.message


def test_a_quantized_checkpoint_is_not_turned_back() -> None:
    decided = rejected(request("llama31-8b-awq", precision=Precision.BF16), cluster(node("a", H100)))
    assert "stored as int4 (awq), which vLLM does not turn into bf16" in decided.message


@pytest.mark.parametrize(
    "failure",
    [
        MetadataFailure("HubUnreachable", "the Hub cannot be reached", True),
        FactsRefusal("ConfigInvalid", "config.json: heads is 0"),
    ],
)
def test_facts_that_cannot_be_had_are_passed_on(failure: MetadataFailure | FactsRefusal) -> None:
    decided = plan(request(LLAMA), {CheckpointRef(LLAMA): failure}, cluster(node("a", H100)))
    assert isinstance(decided, Rejection)
    assert (decided.reason, decided.message) == (failure.reason, failure.message)


def test_offload_makes_a_model_fit_and_asks_for_the_host_memory() -> None:
    snapshot = cluster(node("a", L40S, gpus=2))
    assert isinstance(decide(request(QWEN, context_length=4096), snapshot), Rejection)
    decided = planned(request(QWEN, context_length=4096, cpu_offload_bytes=40 * GIB), snapshot)
    assert decided.gpus_per_replica == 2
    assert decided.memory.host_memory_bytes >= 2 * 40 * GIB


def test_offload_that_the_nodes_cannot_hold_is_rejected() -> None:
    decided = rejected(request(QWEN, context_length=4096, cpu_offload_bytes=120 * GIB), cluster(node("a", T4)))
    assert "host memory" in decided.message or "short by" in decided.message or "weights" in decided.message


def test_what_is_to_run_at_once_may_run_at_once() -> None:
    decided = planned(request(LLAMA, context_length=16, concurrency=3000), cluster(node("a", H100)))
    assert decided.config.max_num_seqs >= 3000
    assert decided.config.max_num_batched_tokens >= decided.config.max_num_seqs


clusters = st.lists(st.tuples(st.sampled_from(sorted(PRODUCTS)), st.integers(0, 8), st.integers(0, 8)), max_size=6)
asks = st.builds(
    lambda model, context, concurrency, precision: request(
        model, context_length=context, concurrency=concurrency, precision=precision
    ),
    st.sampled_from([LLAMA, QWEN, LLAVA]),
    st.sampled_from([1024, 8192, 32768]),
    st.sampled_from([1, 4, 64]),
    st.sampled_from([Precision.AUTO, Precision.FP8]),
)


def build(described: list[tuple[str, int, int]]) -> ClusterSnapshot:
    nodes = tuple(node(f"n{number}", product, gpus=count) for number, (product, count, _) in enumerate(described))
    pods = tuple(busy(f"n{number}", taken) for number, (_, count, taken) in enumerate(described) if taken <= count)
    return ClusterSnapshot(nodes, pods)


@given(asks, clusters, st.randoms(use_true_random=False))
def test_the_order_of_nodes_and_pods_does_not_matter(
    asked: PlanRequest, described: list[tuple[str, int, int]], random: Random
) -> None:
    snapshot = build(described)
    nodes, pods = list(snapshot.nodes), list(snapshot.pods)
    random.shuffle(nodes)
    random.shuffle(pods)
    assert decide(asked, snapshot) == decide(asked, ClusterSnapshot(tuple(nodes), tuple(pods)))


@given(asks, clusters)
def test_a_plan_lies_on_free_gpus_or_says_that_it_waits(
    asked: PlanRequest, described: list[tuple[str, int, int]]
) -> None:
    snapshot = build(described)
    decided = decide(asked, snapshot)
    if isinstance(decided, Rejection):
        return
    used = {pod.node: pod.gpus for pod in snapshot.pods}
    place = decided.placement
    slots = sum(
        (n.gpu_count - used.get(n.name, 0)) // place.gpus_per_node
        for n in snapshot.nodes
        if n.gpu is not None and n.gpu.product == place.gpu_product
    )
    assert (slots >= place.nodes_per_replica) is (place.waiting == "")
    assert decided.memory.fits


@given(asks, clusters)
def test_more_context_never_needs_fewer_gpus(asked: PlanRequest, described: list[tuple[str, int, int]]) -> None:
    snapshot = ClusterSnapshot(build(described).nodes)
    less, more = decide(asked, snapshot), decide(replace(asked, context_length=32768, concurrency=64), snapshot)
    if isinstance(more, Plan):
        assert isinstance(less, Plan)
        assert less.gpus_per_replica <= more.gpus_per_replica


@given(asks, clusters)
def test_freed_gpus_never_make_a_plan_worse(asked: PlanRequest, described: list[tuple[str, int, int]]) -> None:
    snapshot = build(described)
    crowded, empty = decide(asked, snapshot), decide(asked, ClusterSnapshot(snapshot.nodes))
    assert isinstance(crowded, Plan) is isinstance(empty, Plan)
    if isinstance(crowded, Plan) and isinstance(empty, Plan):
        assert empty.gpus_per_replica <= crowded.gpus_per_replica
        assert empty.placement.waiting == ""


def test_a_rollout_may_only_bring_the_new_pod_first_where_it_fits_beside_the_old_one() -> None:
    asked = request(LLAMA, context_length=8192)
    # The old pod holds the whole node; the new plan needs one GPU of it.
    holding_all = planned(asked, cluster(node("a", L40S), pods=(busy("a", 4, owner=asked.key),)))
    assert (holding_all.placement.free_now, holding_all.placement.beside_now) == (4, 0)
    holding_one = planned(asked, cluster(node("a", L40S), pods=(busy("a", 1, owner=asked.key),)))
    assert (holding_one.placement.free_now, holding_one.placement.beside_now) == (4, 3)


def test_a_plan_in_force_is_placed_anew_and_nothing_else_of_it_changes() -> None:
    asked = request(LLAMA, context_length=8192)
    before = planned(asked, cluster(node("a", L40S)))
    crowded = refreshed(before, asked, cluster(node("a", L40S), pods=(busy("a", 4),)))
    assert (crowded.placement.free_now, crowded.placement.beside_now) == (0, 0)
    assert "0 of 4 are free" in crowded.placement.waiting
    assert replace(crowded, placement=before.placement) == before
    gone = refreshed(before, asked, cluster(node("b", H100)))
    assert "none that can take the pods has NVIDIA-L40S" in gone.placement.waiting
