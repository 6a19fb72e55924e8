"""The picture of the cluster: what is free, with what is promised taken off."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.capacity import shapes
from modelserving.cluster.nodes import node_facts
from modelserving.cluster.quotas import Amount, Quota
from modelserving.cluster.resource_slices import NodeSlice, SliceDevice
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.controller.picture import ASSUMED_SECONDS, ClusterPicture
from modelserving.planning.plan import Plan
from modelserving.planning.planner import plan
from planning_cases import H100, L40S, T4, busy, facts, node, request


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def picture(clock: Clock) -> ClusterPicture:
    found = ClusterPicture(clock)
    found.put_node(node("a", L40S), 1)
    return found


def free(picture: ClusterPicture) -> dict[str, int]:
    return {name: n.gpus for shape in shapes(picture.snapshot(), lambda _: "") for name, n in shape.nodes.items()}


def llama(picture: ClusterPicture, gpus: int) -> Plan:
    asked = request("llama31-8b", context_length=8192, tensor_parallel_size=gpus)
    made = plan(asked, {asked.checkpoints[0].ref: facts("llama31-8b")}, picture.snapshot())
    assert isinstance(made, Plan)
    return made


def test_a_heartbeat_is_no_change_and_a_change_is(picture: ClusterPicture) -> None:
    same = node("a", L40S)
    assert picture.put_node(same, 2) == ()
    cordoned = replace(same, schedulable=False)
    assert picture.put_node(cordoned, 3) == (same, cordoned)
    # An answer that was overtaken by a newer one.
    assert picture.put_node(same, 2) == ()
    assert picture.remove_node("a") == cordoned
    assert picture.remove_node("a") is None


def test_pods_take_and_give_back(picture: ClusterPicture) -> None:
    picture.put_pod("1", busy("a", 3))
    assert free(picture) == {"a": 1}
    picture.put_pod("1", busy("a", 2))
    assert free(picture) == {"a": 2}
    picture.put_pod("1", None)
    picture.put_pod("never seen", None)
    assert free(picture) == {"a": 4}


def test_a_full_list_of_pods_drops_those_that_are_gone(picture: ClusterPicture) -> None:
    picture.put_pod("ghost", busy("a", 4))
    picture.replace_pods([("2", busy("a", 1))])
    assert free(picture) == {"a": 3}


def test_two_plans_of_the_same_moment_do_not_count_on_the_same_gpus(picture: ClusterPicture) -> None:
    first = llama(picture, 2)
    picture.assume("default/first", first, 1)
    assert free(picture) == {"a": 2}
    picture.assume("default/second", first, 1)
    assert free(picture) == {"a": 0}
    assert llama(picture, 1).placement.waiting


def test_what_is_assumed_ends_when_the_pod_is_bound(picture: ClusterPicture) -> None:
    picture.assume("default/x", llama(picture, 2), 1)
    picture.put_pod("1", replace(busy("a", 2), owner="default/x"))
    assert free(picture) == {"a": 2}
    picture.put_pod("1", None)
    assert free(picture) == {"a": 4}


def test_what_is_assumed_ends_with_the_workload_or_in_time(picture: ClusterPicture, clock: Clock) -> None:
    made = llama(picture, 2)
    picture.assume("default/x", made, 1)
    picture.release("default/x")
    assert free(picture) == {"a": 4}
    picture.assume("default/x", made, 1)
    clock.seconds = ASSUMED_SECONDS
    assert free(picture) == {"a": 4}


def test_replicas_are_assumed_where_they_fit_best(picture: ClusterPicture) -> None:
    picture.put_node(node("b", L40S), 1)
    picture.put_pod("1", busy("b", 2))
    picture.assume("default/x", llama(picture, 2), 2)
    assert free(picture) == {"a": 2, "b": 0}


def test_products_are_those_of_nodes_that_can_be_counted_on(picture: ClusterPicture) -> None:
    picture.put_node(node("h", H100), 1)
    picture.put_node(NodeFacts("cpu"), 1)
    assert picture.products() == {L40S, H100}
    assert picture.nodes_until(1) == {"a", "h", "cpu"}


EVENTS = st.one_of(
    st.tuples(
        st.just("node"), st.sampled_from("abcd"), st.sampled_from([H100, L40S, T4]), st.integers(0, 8), st.booleans()
    ),
    st.tuples(st.just("gone"), st.sampled_from("abcd")),
    st.tuples(
        st.just("pod"), st.integers(1, 6), st.sampled_from("abcde"), st.integers(0, 4), st.sampled_from(["", "ns/x"])
    ),
    st.tuples(st.just("ended"), st.integers(1, 6)),
    st.tuples(st.just("assume"), st.sampled_from(["ns/x", "ns/y"]), st.integers(0, 3)),
    st.tuples(st.just("release"), st.sampled_from(["ns/x", "ns/y"])),
    st.tuples(st.just("look")),
    st.tuples(st.just("later")),
)


def happen(picture: ClusterPicture, clock: Clock, event: tuple[Any, ...], number: int, made: Plan) -> None:
    match event:
        case ("node", name, product, gpus, schedulable):
            picture.put_node(replace(node(name, product, gpus=gpus), schedulable=schedulable), number)
        case ("gone", name):
            picture.remove_node(name)
        case ("pod", uid, name, gpus, owner):
            picture.put_pod(str(uid), busy(name, gpus, owner))
        case ("ended", uid):
            picture.put_pod(str(uid), None)
        case ("assume", key, replicas):
            picture.assume(key, made, replicas)
        case ("release", key):
            picture.release(key)
        case ("later",):
            clock.seconds += ASSUMED_SECONDS / 2
        case ("look",):
            picture.snapshot()


def counted(snapshot: ClusterSnapshot, without: str) -> list[tuple[Any, ...]]:
    """Shapes and what is free on their nodes, in an order that does not tell which node came first."""
    found = shapes(snapshot, lambda _: "", without=without)
    return [(replace(shape, groups=()), shape.nodes, shape.gpus_free, shape.gpus_in_all) for shape in found]


@given(st.lists(EVENTS, max_size=40))
def test_pools_kept_from_look_to_look_are_those_made_anew(events: list[tuple[Any, ...]]) -> None:
    clock = Clock()
    kept = ClusterPicture(clock)
    kept.put_node(node("a", L40S), 1)
    made = llama(kept, 2)
    for number, event in enumerate(events, 2):
        happen(kept, clock, event, number, made)
    found = kept.snapshot()
    anew = ClusterSnapshot(found.nodes, found.pods)
    for key in ("", "ns/x"):
        assert counted(found, key) == counted(anew, key)


def test_pods_are_assumed_only_where_cpu_and_memory_suffice(picture: ClusterPicture) -> None:
    picture.put_node(node("b", L40S, gpus=8), 1)
    made = llama(picture, 2)
    picture.put_pod("1", replace(busy("a", 1), cpu_millis=126_000))
    picture.assume("default/x", made, 1)
    assert free(picture) == {"a": 3, "b": 6}


def test_slices_tell_of_a_node_what_its_labels_do_not(picture: ClusterPicture) -> None:
    bare = replace_labels(node("bare", H100))
    picture.put_node(bare, 1)
    assert "bare" not in free(picture)
    device = SliceDevice("", H100, 81_559 * 2**20, (9, 0))
    told = NodeSlice("bare", "pool", 1, (device,) * 8)
    before, after = picture.put_slice("bare-gpu", told)
    assert before is not None
    assert after is not None
    assert before.gpu is None
    assert after.products == {H100}
    assert picture.put_slice("bare-gpu", told) == ()
    assert free(picture)["bare"] == 8
    picture.put_slice("bare-gpu", None)
    assert "bare" not in free(picture)
    assert picture.slice_names() == ()


def replace_labels(whole: NodeFacts) -> NodeFacts:
    """The node as it is before GPU feature discovery has labelled it."""
    return node_facts(
        {
            "metadata": {"name": whole.name},
            "status": {"allocatable": {"nvidia.com/gpu": "8", "cpu": "128", "memory": "2Ti"}},
        }
    )


def test_only_what_a_quota_allows_is_news_not_what_is_used_of_it(picture: ClusterPicture) -> None:
    quota = Quota("ns", "team", {"pods": Amount(4, 1)})
    assert picture.put_quota(quota)
    assert not picture.put_quota(replace(quota, amounts={"pods": Amount(4, 2)}))
    assert picture.snapshot().quotas[0].amounts["pods"].used == 2
    assert picture.put_quota(replace(quota, amounts={"pods": Amount(5, 2)}))
    assert picture.quota_names() == (("ns", "team"),)
    assert picture.remove_quota("ns", "team")
    assert picture.snapshot().quotas == ()
