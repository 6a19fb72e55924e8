"""Pools: alike nodes are looked at once, and changes reach the pools they concern."""

from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.facts import GpuDevice, NodeFacts, PodRequests
from modelserving.cluster.pools import MOST_STEPS, NODE_NAME, Pools
from modelserving.cluster.room import Taken, taken_by
from modelserving.engine.device import Gpu
from modelserving.units import GIB

NAMES = ["a", "b", "c", "d"]
H100 = GpuDevice("nvidia.com/gpu", 8, Gpu("NVIDIA-H100-80GB-HBM3", 79 * GIB, (9, 0)))
L40S = GpuDevice("nvidia.com/gpu", 4, Gpu("NVIDIA-L40S", 44 * GIB, (8, 9)))
BROKEN = GpuDevice("nvidia.com/gpu", 4, problem="labels lie")


def node(name: str, device: GpuDevice = H100, pool: str = "x", ready: bool = True) -> NodeFacts:
    return NodeFacts(name, {"pool": pool}, ready=ready, devices=(device,), cpu_millis=100, memory_bytes=100)


def pod(name: str, on: str, gpus: int = 1) -> PodRequests:
    return PodRequests("n", name, on, "", (("nvidia.com/gpu", gpus),), 1, 1)


def test_nodes_alike_make_one_pool_and_nodes_without_gpus_none() -> None:
    pools = Pools.of([node("a"), node("b"), node("c", L40S), node("d", BROKEN), NodeFacts("e")], [])
    assert sorted(sorted(pool.nodes) for pool in pools.pools.values()) == [["a", "b"], ["c"]]


def test_pools_are_cut_by_the_labels_that_matter_and_by_no_others() -> None:
    pools = Pools.of([node("a", pool="x"), node("b", pool="y"), node("c", pool="x")], [])
    assert [sorted(pool.nodes) for pool in pools.parts(frozenset(), {})] == [["a", "b", "c"]]
    assert [sorted(pool.nodes) for pool in pools.parts(frozenset({"pool"}), {})] == [["a", "c"], ["b"]]
    assert [sorted(pool.nodes) for pool in pools.parts(frozenset({NODE_NAME}), {})] == [["a"], ["b"], ["c"]]
    assert len(list(pools.parts(frozenset({"other"}), {}))) == 1


def test_pools_that_a_change_does_not_concern_stay_the_same_objects() -> None:
    before = Pools.of([node("a"), node("c", L40S)], [])
    after = before.updated({}, {"a": taken_by([pod("1", "a")])["a"]})
    ours, theirs = list(before.pools.values()), list(after.pools.values())
    assert theirs[0] is not ours[0]
    assert theirs[1] is ours[1]
    assert theirs[0].groups[0].keys() == {(7, 8)}


def test_what_pods_take_of_a_node_counts_although_it_was_known_before_the_node() -> None:
    pools = Pools.of([], [pod("1", "late", 3)]).updated({"late": node("late")}, {})
    (pool,) = pools.pools.values()
    assert pool.nodes["late"].free[0].gpus == 5


changes = st.tuples(
    st.sampled_from(NAMES),
    st.none()
    | st.builds(node, st.just(""), st.sampled_from([H100, L40S, BROKEN]), st.sampled_from("xy"), st.booleans()),
)
pod_lists = st.lists(st.builds(pod, st.text(max_size=2), st.sampled_from(NAMES), st.integers(0, 9)), max_size=6)


@given(st.lists(st.tuples(st.lists(changes, max_size=4), pod_lists), max_size=5))
def test_pools_kept_up_to_date_are_those_made_anew(
    steps: list[tuple[list[tuple[str, NodeFacts | None]], list[PodRequests]]],
) -> None:
    kept, known, before = Pools(), {}, {}  # type: ignore[var-annotated]
    for node_changes, pods in steps:
        named = {name: None if new is None else _named(name, new) for name, new in node_changes}
        taken = taken_by(pods)
        differing = {
            name: taken.get(name, Taken()) for name in {*taken, *before} if taken.get(name) != before.get(name)
        }
        kept, before = kept.updated(named, differing), taken
        known = {name: facts for name, facts in {**known, **named}.items() if facts is not None}
        anew = Pools.of(known.values(), pods)
        assert kept.kinds == anew.kinds
        assert kept.taken == anew.taken
        assert kept.pools == anew.pools
        for labels in (frozenset[str](), frozenset({"pool"}), frozenset({NODE_NAME})):
            assert parts(kept, labels, taken) == parts(anew, labels, taken)


def parts(pools: Pools, labels: frozenset[str], without: dict[str, Taken]) -> object:
    """What planning sees, in an order of its own."""
    return [
        sorted(
            (
                (
                    sorted(pool.nodes),
                    pool.most,
                    [{key: g.members for key, g in e.items()} for e in pool.groups],
                )
                for pool in pools.parts(labels, gone)
            ),
            key=lambda part: part[0],
        )
        for gone in ({}, without)
    ]


def test_after_many_changes_a_pool_looks_at_its_nodes_again() -> None:
    pools = Pools.of([node("a"), node("b")], [])
    for count in range(MOST_STEPS + 2):
        pools = pools.updated({}, {"a": Taken(cpu_millis=count, pods=1)})
    (pool,) = pools.pools.values()
    assert pool.derived is None or pool.derived.steps < MOST_STEPS
    assert pool.groups[0][8, 8].members["a"].cpu_millis == 100 - MOST_STEPS - 1


def _named(name: str, facts: NodeFacts) -> NodeFacts:
    return NodeFacts(
        name, facts.labels, ready=facts.ready, devices=facts.devices, cpu_millis=facts.cpu_millis, memory_bytes=100
    )
