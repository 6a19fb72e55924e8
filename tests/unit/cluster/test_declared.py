"""Shapes of node that do not have to exist."""

from typing import Any

import pytest

from modelserving.cluster.capacity import NodeShape, declared_shapes
from modelserving.cluster.declared import MOST_NODES, declared_shape
from modelserving.cluster.eligibility import obstacle
from modelserving.cluster.facts import NodeFacts
from modelserving.cluster.nodes import node_facts
from modelserving.cluster.room import PodNeed
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.settings import NodeShape as Declared
from modelserving.units import GIB

H100 = {"name": "h100", "gpuProduct": "NVIDIA-H100-80GB-HBM3", "gpus": 8, "cpu": 190, "memory": "1900Gi"}


def declared(**more: Any) -> Declared:
    return Declared.model_validate(H100 | more)


def found(*shapes: Declared, nodes: tuple[NodeFacts, ...] = (), **asked: Any) -> tuple[NodeShape, ...]:
    snapshot = ClusterSnapshot(
        nodes, declared=tuple(map(declared_shape, shapes)), prices={"NVIDIA-H100-80GB-HBM3": 2.5}
    )
    return declared_shapes(snapshot, lambda node: obstacle(node, **asked))


def test_a_declared_shape_is_read_as_the_node_it_will_be() -> None:
    shape = declared_shape(declared(maxNodes=3, pricePerGpuHour=2.0, labels={"pool": "spot"}))
    assert (shape.problem, shape.max_nodes, shape.price_per_gpu_hour) == ("", 3, 2.0)
    assert (shape.node.gpu_count, shape.node.cpu_millis, shape.node.memory_bytes) == (8, 190_000, 1900 * GIB)
    assert shape.node.gpu is not None
    assert shape.node.gpu.memory_total_bytes / GIB == pytest.approx(79.18, abs=0.001)


NOT_COUNTED_ON = {
    "a product whose memory is not known": ({"gpuProduct": "NVIDIA-X900"}, "node shape h100: no label"),
    "a product whose capability is not known": (
        {"gpuProduct": "NVIDIA-X900", "gpuMemory": "100Gi"},
        "compute capability",
    ),
    "memory that the product does not have": ({"gpuMemory": "40Gi"}, "has 81559 MiB"),
    "a slice without memory": ({"gpuProduct": "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb"}, "does not tell its memory"),
}


@pytest.mark.parametrize(("change", "says"), NOT_COUNTED_ON.values(), ids=NOT_COUNTED_ON)
def test_what_cannot_be_counted_on_says_why(change: dict[str, Any], says: str) -> None:
    shape = declared_shape(declared(**change))
    assert says in shape.problem
    assert found(declared(**change)) == ()


def test_an_unknown_product_can_be_declared_in_full() -> None:
    (shape,) = found(declared(gpuProduct="NVIDIA-X900", gpuMemory="100Gi", computeCapability="13.0"))
    assert (shape.gpu.product, shape.gpu.compute_capability) == ("NVIDIA-X900", (13, 0))


def test_slices_can_be_declared() -> None:
    (shape,) = found(
        declared(
            gpuProduct="NVIDIA-H100-80GB-HBM3-MIG-3g.40gb",
            gpuResource="nvidia.com/mig-3g.40gb",
            gpuMemory="40448Mi",
            gpus=16,
        )
    )
    assert (shape.gpu_resource, shape.is_slice, shape.max_devices_per_pod) == ("nvidia.com/mig-3g.40gb", True, 1)


def test_as_many_nodes_as_may_be_made_are_free() -> None:
    (shape,) = found(declared(maxNodes=3))
    assert (shape.declared, shape.price_per_gpu_hour, dict(shape.nodes)) == ("h100", 2.5, {})
    assert shape.replicas_free(4) == 6
    assert shape.replicas_for(PodNeed(8, memory_bytes=2000 * GIB)) == 0
    (without_limit,) = found(declared())
    assert without_limit.replicas_at_most(8) == MOST_NODES


def test_local_storage_bounds_what_fits_where_it_is_declared() -> None:
    (shape,) = found(declared(ephemeralStorage="100Gi", maxNodes=1))
    assert shape.replicas_for(PodNeed(1, ephemeral_bytes=60 * GIB)) == 1


def test_nodes_of_the_shape_that_exist_count_against_its_limit() -> None:
    def existing(name: str, pool: str) -> NodeFacts:
        labels = {"pool": pool, "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
        return node_facts(
            {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": {"nvidia.com/gpu": "8"}}}
        )

    nodes = (existing("a", "spot"), existing("b", "spot"), existing("c", "other"))
    (shape,) = found(declared(maxNodes=3, labels={"pool": "spot"}), nodes=nodes)
    assert shape.replicas_free(8) == 1
    assert found(declared(maxNodes=2, labels={"pool": "spot"}), nodes=nodes) == ()


def test_what_keeps_pods_off_its_nodes_keeps_them_off_the_shape() -> None:
    tainted = declared(taints=[{"key": "spot", "value": "true"}], labels={"pool": "spot"})
    assert found(tainted) == ()
    assert found(tainted, tolerations=[{"key": "spot", "operator": "Exists"}], node_selector=[("pool", "spot")])
    assert found(tainted, tolerations=[{"operator": "Exists"}], node_selector=[("pool", "x")]) == ()
