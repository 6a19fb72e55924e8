"""Nodes that an autoscaler can make: planned for where nothing that exists fits, and told of where they do not do either."""

from typing import Any

from modelserving.cluster.declared import DeclaredShape, declared_shape
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from modelserving.settings import NodeShape
from planning_cases import H100, L40S, T4, facts, node, request


def shape(**fields: Any) -> DeclaredShape:
    stated = {"name": "spot", "gpuProduct": H100, "gpus": 8, "cpu": 190, "memory": "1900Gi", **fields}
    return declared_shape(NodeShape.model_validate(stated))


def decide(snapshot: ClusterSnapshot, model: str = "llama31-8b", **fields: Any) -> Plan | Rejection:
    asked = request(model, **{"context_length": 8192, **fields})
    return plan(asked, {asked.checkpoints[0].ref: facts(model)}, snapshot)


def test_a_node_that_exists_comes_before_one_that_could_be_made() -> None:
    found = decide(ClusterSnapshot((node("a", L40S),), declared=(shape(),)))
    assert isinstance(found, Plan)
    assert found.placement.gpu_product == L40S


def test_what_fits_no_node_that_exists_waits_for_one_that_can_be_made() -> None:
    found = decide(ClusterSnapshot((node("a", T4),), declared=(shape(),)))
    assert isinstance(found, Plan)
    assert found.placement.gpu_product == H100
    assert "Waits for nodes of the shape spot, which are to be made" in found.placement.waiting


def test_without_any_node_each_declared_shape_says_what_is_against_it() -> None:
    tainted = shape(taints=[{"key": "team", "value": "a"}])
    found = decide(ClusterSnapshot(declared=(tainted, shape(name="other"))), gpu_products=(L40S,))
    assert isinstance(found, Rejection)
    assert found.reason == "NoGPUNodes"
    assert "spot: " in found.message
    assert "team" in found.message
    assert f"other: has {H100}" in found.message


def test_a_shape_of_which_there_are_enough_already_is_no_way_out() -> None:
    spent = shape(maxNodes=1, labels={"pool": "spot"})
    gone = node("a", H100, pool="spot")
    found = decide(ClusterSnapshot((gone,), declared=(spent,)), gpu_products=(L40S,))
    assert isinstance(found, Rejection)
    assert f"spot: has {H100}" in found.message


def test_gpus_that_cannot_be_put_together_as_asked_say_what_a_node_gives() -> None:
    found = decide(ClusterSnapshot(declared=(shape(maxNodes=1),)), tensor_parallel_size=16, pipeline_parallel_size=1)
    assert isinstance(found, Rejection)
    assert "spec.gpu.tensorParallelSize 16 with spec.gpu.pipelineParallelSize 1" in found.message
    assert "gives one pod 8" in found.message
