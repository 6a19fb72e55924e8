"""What a pod asks for beside GPUs: no plan rests on nodes that could not hold its pod even if nothing else ran there."""

from dataclasses import replace
from typing import Any

import pytest

from modelserving.cluster.room import PodNeed
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from modelserving.planning.pod_needs import PodAsked
from modelserving.units import GIB
from planning_cases import H100, L40S, busy, facts, node, request


def decide(*nodes: NodeFacts, **fields: Any) -> Plan | Rejection:
    asked = request("llama31-8b", **{"context_length": 8192, **fields})
    return plan(asked, {asked.checkpoints[0].ref: facts("llama31-8b")}, ClusterSnapshot(nodes))


CASES: dict[str, tuple[NodeFacts, PodAsked, str]] = {
    "local storage": (
        replace(node("a", L40S), ephemeral_bytes=20 * GIB),
        PodAsked(),
        "25.0 GiB of local storage, the largest such node has 20.0 GiB; spec.cache.persistentVolumeClaim",
    ),
    "CPU": (
        replace(node("a", L40S), cpu_millis=64_000),
        PodAsked(requests=(("cpu", 100_000),)),
        "100 CPUs, the largest such node has 64",
    ),
    "host memory": (
        node("a", L40S),
        PodAsked(requests=(("memory", 600 * GIB),)),
        "600.0 GiB of host memory, the largest such node has 512.0 GiB",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_its_numbers(case: str) -> None:
    where, pod, said = CASES[case]
    found = decide(where, pod=pod)
    assert isinstance(found, Rejection)
    assert found.reason == "NodesTooSmall"
    assert said in found.message
    assert f"1 × {L40S} would do, but a pod asks for" in found.message


def test_a_larger_node_of_another_product_is_taken() -> None:
    found = decide(replace(node("a", L40S), ephemeral_bytes=20 * GIB), node("b", H100))
    assert isinstance(found, Plan)
    assert found.placement.gpu_product == H100


def test_what_others_take_of_a_node_that_is_large_enough_is_waited_for() -> None:
    taken = replace(busy("a", 1), ephemeral_bytes=90 * GIB)
    large = replace(node("a", L40S), ephemeral_bytes=100 * GIB)
    asked = request("llama31-8b", context_length=8192)
    found = plan(asked, {asked.checkpoints[0].ref: facts("llama31-8b")}, ClusterSnapshot((large,), (taken,)))
    assert isinstance(found, Plan)
    assert "Waits for local storage: it needs 25.0 GiB of local storage" in found.placement.waiting


def test_what_a_node_does_not_state_is_no_obstacle() -> None:
    assert isinstance(decide(node("a", L40S), pod=PodAsked(requests=(("ephemeral-storage", 10**15),))), Plan)
    assert PodNeed(1).ephemeral_bytes == 0
