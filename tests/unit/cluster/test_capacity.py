"""Node shapes and what is free on them."""

from dataclasses import replace

from modelserving.cluster.capacity import shapes
from modelserving.cluster.snapshot import ClusterSnapshot, GpuDevice, NodeFacts, PodRequests
from modelserving.engine.device import Gpu
from modelserving.units import GIB

H100 = Gpu("NVIDIA-H100-80GB-HBM3", 79 * GIB, (9, 0))
L40S = Gpu("NVIDIA-L40S", 44 * GIB, (8, 9))


def node(name: str, gpu: Gpu | None = H100, count: int = 8) -> NodeFacts:
    devices = (GpuDevice("nvidia.com/gpu", count, gpu),) if gpu is not None else ()
    return NodeFacts(name, devices=devices, cpu_millis=64_000, memory_bytes=512 * GIB)


def pod(node_name: str, gpus: int, owner: str = "", memory: int = 0) -> PodRequests:
    return PodRequests("n", f"p-{node_name}-{gpus}-{owner}", node_name, owner, (("nvidia.com/gpu", gpus),), 0, memory)


def test_nodes_with_one_product_make_one_shape() -> None:
    snapshot = ClusterSnapshot((node("b"), node("a", H100, 4), node("c", L40S, 4), node("d", None, 0)))
    found = shapes(snapshot, lambda _: "")
    assert [(shape.gpu.product, shape.gpus_per_node, [n.name for n in shape.nodes]) for shape in found] == [
        ("NVIDIA-H100-80GB-HBM3", 8, ["a", "b"]),
        ("NVIDIA-L40S", 4, ["c"]),
    ]


def test_free_is_allocatable_less_what_pods_request() -> None:
    snapshot = ClusterSnapshot(
        (node("a"), node("b")), (pod("a", 6, memory=500 * GIB), pod("b", 3), pod("elsewhere", 8))
    )
    (shape,) = shapes(snapshot, lambda _: "")
    assert [(n.gpus, n.memory_bytes // GIB) for n in shape.nodes] == [(2, 12), (5, 512)]
    assert shape.replicas_free(4) == 1
    assert shape.replicas_free(1) == 7
    assert shape.replicas_free(1, 20 * GIB) == 5
    assert shape.replicas_at_most(4) == 4


def test_own_pods_do_not_stand_in_the_way_of_their_own_new_plan() -> None:
    snapshot = ClusterSnapshot((node("a"),), (pod("a", 8, "n/llava"),))
    assert shapes(snapshot, lambda _: "")[0].replicas_free(8) == 0
    assert shapes(snapshot, lambda _: "", without="n/llava")[0].replicas_free(8) == 1


def test_a_node_on_which_too_much_is_requested_has_nothing_free_rather_than_less() -> None:
    snapshot = ClusterSnapshot((node("a"),), (pod("a", 9, memory=600 * GIB),))
    (shape,) = shapes(snapshot, lambda _: "")
    assert shape.nodes[0].gpus == 0
    assert shape.replicas_free(1, GIB) == 0


def test_where_nodes_of_a_product_differ_in_memory_the_least_counts() -> None:
    lesser = replace(H100, memory_total_bytes=78 * GIB)
    (shape,) = shapes(ClusterSnapshot((node("a"), node("b", lesser), node("c", H100, 2))), lambda _: "")
    assert shape.gpu == lesser
    assert shape.gpus_per_node == 8
    assert shape.replicas_at_most(4) == 4
    assert shape.replicas_at_most(2) == 9


def test_nodes_with_an_obstacle_are_left_out() -> None:
    snapshot = ClusterSnapshot((node("a"), replace(node("b"), ready=False)))
    (shape,) = shapes(snapshot, lambda n: "" if n.ready else "not ready")
    assert [n.name for n in shape.nodes] == ["a"]
