"""Node shapes and what is free on them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.capacity import shapes
from modelserving.cluster.eligibility import labels_asked, obstacle
from modelserving.cluster.room import PodNeed
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
    assert [(shape.gpu.product, shape.gpus_per_node, list(shape.nodes)) for shape in found] == [
        ("NVIDIA-H100-80GB-HBM3", 8, ["a", "b"]),
        ("NVIDIA-L40S", 4, ["c"]),
    ]


def test_free_is_allocatable_less_what_pods_request() -> None:
    snapshot = ClusterSnapshot(
        (node("a"), node("b")), (pod("a", 6, memory=500 * GIB), pod("b", 3), pod("elsewhere", 8))
    )
    (shape,) = shapes(snapshot, lambda _: "")
    assert [(n.gpus, n.memory_bytes // GIB) for n in shape.nodes.values()] == [(2, 12), (5, 512)]
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
    assert shape.nodes["a"].gpus == 0
    assert shape.replicas_free(1, GIB) == 0


def test_where_nodes_of_a_product_differ_in_memory_the_least_counts() -> None:
    lesser = replace(H100, memory_total_bytes=78 * GIB)
    (shape,) = shapes(ClusterSnapshot((node("a"), node("b", lesser), node("c", H100, 2))), lambda _: "")
    assert shape.gpu == lesser
    assert shape.gpus_per_node == 8
    assert shape.replicas_at_most(4) == 4
    assert shape.replicas_at_most(2) == 9


def test_a_pool_none_of_whose_nodes_is_eligible_is_no_shape() -> None:
    snapshot = ClusterSnapshot((node("a"), node("b", L40S)))
    assert [shape.gpu for shape in shapes(snapshot, lambda n: "no" if n.gpu == H100 else "")] == [L40S]
    assert shapes(snapshot, lambda _: "no") == ()


def test_nodes_with_an_obstacle_are_left_out() -> None:
    snapshot = ClusterSnapshot((node("a"), replace(node("b"), ready=False)))
    (shape,) = shapes(snapshot, lambda n: "" if n.ready else "not ready")
    assert list(shape.nodes) == ["a"]


SLICE = GpuDevice(
    "nvidia.com/mig-3g.40gb", 4, Gpu("NVIDIA-H100-80GB-HBM3-MIG-3g.40gb", 39 * GIB, (9, 0)), is_slice=True
)


def test_slices_and_whole_gpus_of_one_node_are_shapes_of_their_own() -> None:
    mixed = NodeFacts("a", devices=(GpuDevice("nvidia.com/gpu", 4, H100), SLICE), memory_bytes=GIB)
    taking = PodRequests("n", "p", "a", devices=(("nvidia.com/gpu", 1), ("nvidia.com/mig-3g.40gb", 3)))
    whole, sliced = shapes(ClusterSnapshot((mixed,), (taking,)), lambda _: "")
    assert (whole.replicas_free(1), whole.max_devices_per_pod) == (3, 4)
    assert (sliced.replicas_free(1), sliced.max_devices_per_pod) == (1, 1)


def test_cpu_disk_and_the_number_of_pods_bound_what_fits() -> None:
    small = replace(node("a"), ephemeral_bytes=100 * GIB, pods=3)
    (shape,) = shapes(ClusterSnapshot((small,), (pod("a", 0),)), lambda _: "")
    assert shape.replicas_for(PodNeed(1)) == 2
    assert shape.replicas_for(PodNeed(1, cpu_millis=40_000)) == 1
    assert shape.replicas_for(PodNeed(1, ephemeral_bytes=60 * GIB)) == 1


SCARCE = {
    "nothing": (PodNeed(4, 1000, GIB, GIB), 2, ()),
    "GPUs, whatever else": (PodNeed(5, cpu_millis=10**9), 2, ("GPUs",)),
    "CPU": (PodNeed(4, 40_000, GIB), 2, ("CPU",)),
    "host memory and disk": (PodNeed(4, 1, 300 * GIB, 60 * GIB), 2, ("host memory", "local storage")),
}


@pytest.mark.parametrize(("need", "replicas", "names"), SCARCE.values(), ids=SCARCE)
def test_what_runs_short_is_named(need: PodNeed, replicas: int, names: tuple[str, ...]) -> None:
    (shape,) = shapes(ClusterSnapshot((replace(node("a"), ephemeral_bytes=100 * GIB),)), lambda _: "")
    assert shape.scarce(need, replicas) == names


def test_amounts_that_run_short_only_together_are_all_named() -> None:
    much_cpu = replace(node("a", count=1), memory_bytes=GIB)
    much_memory = replace(node("b", count=1), cpu_millis=1)
    (shape,) = shapes(ClusterSnapshot((much_cpu, much_memory)), lambda _: "")
    assert shape.scarce(PodNeed(1, cpu_millis=2, memory_bytes=2 * GIB), 1) == ("CPU", "host memory")


def test_an_amount_that_a_node_does_not_state_bounds_nothing() -> None:
    (shape,) = shapes(ClusterSnapshot((node("a"),)), lambda _: "")
    assert shape.replicas_for(PodNeed(1, ephemeral_bytes=2**50)) == 8


def test_figures_for_sentences_and_for_the_best_fit() -> None:
    snapshot = ClusterSnapshot((node("a"), node("b"), node("c", H100, 4)), (pod("a", 6), pod("c", 1)))
    (shape,) = shapes(snapshot, lambda _: "")
    assert (shape.gpus_free, shape.gpus_in_all, shape.most_free_on_a_node) == (13, 20, 8)
    assert [shape.left_at_best(gpus) for gpus in (1, 2, 3, 4, 8, 9)] == [1, 0, 0, 4, 0, 8]


def test_nodes_that_pods_can_ask_for_by_a_label_come_before_those_they_cannot() -> None:
    labelled = GpuDevice("nvidia.com/gpu", 8, H100, selector=(("nvidia.com/gpu.product", H100.product),))
    snapshot = ClusterSnapshot((node("a"), NodeFacts("b", devices=(labelled,))))
    assert [shape.selector != () for shape in shapes(snapshot, lambda _: "")] == [True, False]


def test_a_price_goes_by_the_product() -> None:
    (shape,) = shapes(ClusterSnapshot((node("a"),), prices={H100.product: 2.5}), lambda _: "")
    assert shape.price_per_gpu_hour == 2.5


def test_nodes_alike_are_asked_about_once() -> None:
    asked: list[str] = []

    def note(facts: NodeFacts) -> str:
        asked.append(facts.name)
        return ""

    nodes = tuple(replace(node(f"n{i}"), labels={"pool": str(i % 3), "host": str(i)}) for i in range(30))
    for labels, times in ((frozenset[str](), 1), (frozenset({"pool"}), 3), (frozenset({"host"}), 30), (None, 30)):
        asked.clear()
        (shape,) = shapes(ClusterSnapshot(nodes), note, labels=labels)
        assert (len(asked), shape.replicas_at_most(8)) == (times, 30)


described_nodes = st.lists(
    st.builds(
        lambda gpu, count, pool, rank, ready: NodeFacts(
            "",
            {"pool": pool, "rank": rank},
            ready=ready,
            devices=(GpuDevice("nvidia.com/gpu", count, gpu),),
            cpu_millis=64_000,
            memory_bytes=512 * GIB,
        ),
        st.sampled_from([H100, L40S]),
        st.integers(1, 8),
        st.sampled_from("xy"),
        st.sampled_from("123"),
        st.booleans(),
    ),
    max_size=8,
)
takings = st.lists(
    st.builds(pod, st.integers(0, 7).map(lambda i: f"n{i}"), st.integers(0, 8), st.sampled_from(["", "n/llava"])),
    max_size=8,
)
selectors = st.sampled_from([(), (("pool", "x"),), (("pool", "y"), ("rank", "2")), (("none", "1"),)])


@given(described_nodes, takings, selectors, st.sampled_from(["", "n/llava"]))
def test_looking_at_pools_finds_what_looking_at_every_node_finds(
    found: list[NodeFacts], pods: list[PodRequests], selector: tuple[tuple[str, str], ...], without: str
) -> None:
    nodes = tuple(replace(facts, name=f"n{i}") for i, facts in enumerate(found))
    snapshot = ClusterSnapshot(nodes, tuple(pods))
    pooled = shapes(snapshot, lambda n: obstacle(n, selector), without, labels_asked(selector))
    singly = shapes(snapshot, lambda n: obstacle(n, selector), without)
    assert [replace(s, groups=()) for s in pooled] == [replace(s, groups=()) for s in singly]
    assert [s.nodes for s in pooled] == [s.nodes for s in singly]
    for shape in pooled:
        need = PodNeed(2, cpu_millis=9_000, memory_bytes=100 * GIB)
        assert shape.replicas_for(need) == sum(row.replicas(need) for row in shape.nodes.values())
