"""What pods need, take, and find room for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.facts import PodRequests
from modelserving.cluster.room import FreeGroup, FreeNode, PodNeed, Taken, grouped, regrouped, taken_by
from modelserving.units import GIB

NODE = FreeNode(8, 6, 32_000, 200 * GIB, 100 * GIB, 10)


@pytest.mark.parametrize(
    ("need", "fit"),
    [
        (PodNeed(1), 6),
        (PodNeed(4), 1),
        (PodNeed(7), 0),
        (PodNeed(1, cpu_millis=9_000), 3),
        (PodNeed(1, memory_bytes=150 * GIB), 1),
        (PodNeed(1, ephemeral_bytes=30 * GIB), 3),
        (PodNeed(1, ephemeral_bytes=101 * GIB), 0),
        (PodNeed(0, cpu_millis=1), 10),
    ],
)
def test_the_scarcest_amount_decides_how_many_fit(need: PodNeed, fit: int) -> None:
    assert NODE.replicas(need) == fit


def test_a_node_that_takes_no_more_pods_has_room_for_none() -> None:
    full = FreeNode(8, 8, 10**6, 2**50, 2**50, 0)
    assert full.replicas(PodNeed(1)) == 0
    overcommitted = FreeNode(8, 8, -5, 2**50)
    assert overcommitted.replicas(PodNeed(1)) == 8
    assert overcommitted.replicas(PodNeed(1, cpu_millis=1)) == 0


amounts = st.integers(-10, 100)
free_nodes = st.builds(FreeNode, st.just(8), st.integers(0, 8), amounts, amounts, amounts, amounts)
needs = st.builds(PodNeed, st.integers(1, 8), *[st.integers(0, 40)] * 3)


named = st.dictionaries(st.text(max_size=3), free_nodes, max_size=12)


@given(named, needs)
def test_groups_count_what_their_nodes_count(nodes: dict[str, FreeNode], need: PodNeed) -> None:
    groups = grouped(nodes.items()).values()
    assert sum(group.replicas(need) for group in groups) == sum(node.replicas(need) for node in nodes.values())
    assert sum(group.count for group in groups) == len(nodes)


@given(named, named, needs)
def test_groups_after_a_change_count_what_groups_made_anew_count(
    before: dict[str, FreeNode], come: dict[str, FreeNode], need: PodNeed
) -> None:
    gone = {name: node for name, node in before.items() if name in come}
    found = regrouped(grouped(before.items()), gone, come)
    anew = grouped({**before, **come}.items())
    assert {key: group.members for key, group in found.items()} == {key: g.members for key, g in anew.items()}
    assert sum(g.replicas(need) for g in found.values()) == sum(g.replicas(need) for g in anew.values())


def test_nodes_that_do_not_exist_yet_are_all_as_the_least() -> None:
    assert FreeGroup(5, NODE, {}).replicas(PodNeed(2)) == 15


pods = st.builds(
    PodRequests,
    st.just("n"),
    st.text(max_size=3),
    st.sampled_from(["a", "b"]),
    st.just(""),
    st.lists(
        st.tuples(st.sampled_from(["nvidia.com/gpu", "nvidia.com/mig-3g.40gb"]), st.integers(1, 4)), max_size=1
    ).map(tuple),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 9),
)


@given(st.lists(pods, max_size=8))
def test_what_pods_take_adds_up_and_can_be_taken_back(taking: list[PodRequests]) -> None:
    taken = taken_by(taking)
    assert sum(total.pods for total in taken.values()) == len(taking)
    left = dict(taken)
    for pod in taking:
        left[pod.node] = left[pod.node].plus(pod, -1)
    assert set(left.values()) <= {Taken()}
    assert all(total.less(total) == Taken() for total in taken.values())
