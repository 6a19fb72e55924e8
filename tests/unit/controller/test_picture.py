"""The picture of the cluster: what is free, with what is promised taken off."""

from dataclasses import replace

import pytest

from modelserving.cluster.capacity import shapes
from modelserving.cluster.snapshot import NodeFacts
from modelserving.controller.picture import ASSUMED_SECONDS, ClusterPicture
from modelserving.planning.plan import Plan
from modelserving.planning.planner import plan
from planning_cases import H100, L40S, busy, facts, node, request


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
    return {n.name: n.gpus for shape in shapes(picture.snapshot(), lambda _: "") for n in shape.nodes}


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
