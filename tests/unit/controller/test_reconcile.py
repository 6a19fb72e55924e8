"""One look at one resource: what is written, in which order, and what is left alone."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from loop_cases import MODEL, Loop
from modelserving.controller.children import child_of
from modelserving.controller.ports import Known, Pending
from modelserving.controller.report import LONGEST_SETTLE_SECONDS
from modelserving.controller.resources import CHILDREN
from modelserving.errors import ClusterError, ConflictError, ForbiddenError, InvalidObjectError, NamespaceEndsError
from modelserving.models.metadata import CheckpointRef, MetadataFailure
from modelserving.render.troubles import Trouble
from planning_cases import H100, L40S, busy, node

WHOLE = ["apply Deployment", "apply Service", "status"]


@pytest.fixture
def loop() -> Loop:
    return Loop()


async def running(loop: Loop, name: str = "one", **spec: Any) -> None:
    loop.create(name, **spec)
    await loop.look(name)
    loop.pods_ready(name)
    await loop.look(name)
    loop.taken()


async def test_a_new_resource_becomes_a_deployment_then_a_service_then_a_status(loop: Loop) -> None:
    loop.create()
    assert await loop.look() is None
    assert loop.taken() == WHOLE
    assert loop.cluster.condition("Planned") == ("True", "PlanFits")
    assert loop.events[0] == ("Normal", "PlanFits")


async def test_a_second_look_writes_nothing(loop: Loop) -> None:
    await running(loop)
    assert await loop.look() is None
    assert loop.taken() == []


async def test_the_status_of_a_new_workload_waits_for_its_pods_and_is_one_write() -> None:
    loop = Loop(settle_seconds=1.0)
    loop.create()
    assert await loop.look() == pytest.approx(1.0)
    assert loop.taken() == ["apply Deployment", "apply Service"]
    loop.pods_ready()
    assert await loop.look() is None
    assert loop.taken() == ["status"]
    assert loop.cluster.condition("Available") == ("True", "PodsReady")


async def test_a_status_that_waited_long_enough_is_written_although_no_pod_is_ready() -> None:
    loop = Loop(settle_seconds=1.0)
    loop.create()
    await loop.look()
    loop.clock.seconds += 1.0
    assert await loop.look() is None
    assert loop.cluster.condition("Progressing") == ("True", "RollingOut")


async def test_under_load_the_service_and_the_status_wait_for_the_deployments_of_others() -> None:
    loop = Loop(settle_seconds=1.0)
    loop.busy = True
    loop.create()
    assert await loop.look() == 0.0
    assert loop.taken() == ["apply Deployment"]
    loop.clock.seconds += 30
    assert (await loop.look() or 0) > 0
    assert loop.taken() == ["apply Service"]
    loop.clock.seconds += LONGEST_SETTLE_SECONDS
    await loop.look()
    assert loop.taken() == ["status"]


async def test_the_status_of_a_workload_waits_while_pods_of_others_come_up_one_after_the_other() -> None:
    loop = Loop(settle_seconds=1.0)
    for name in ("one", "two", "three"):
        loop.create(name)
        await loop.look(name)
    loop.clock.seconds += 0.9
    loop.pods_ready("one")
    await loop.look("one")
    loop.clock.seconds += 0.9
    assert await loop.look("two") == pytest.approx(1.0)
    loop.pods_ready("two")
    await loop.look("two")
    loop.clock.seconds += 1.0
    assert loop.taken().count("status") == 2
    await loop.look("three")
    assert loop.taken() == ["status"]
    assert loop.cluster.condition("Progressing", "three") == ("True", "RollingOut")


async def test_a_rejection_is_told_at_once_and_nothing_is_made() -> None:
    loop = Loop(settle_seconds=1.0)
    loop.create(model="pvc://claim/path")
    assert await loop.look() is None
    assert loop.taken() == ["status"]
    assert loop.cluster.condition("Planned") == ("False", "NotYetSupported")


async def test_a_spec_that_is_not_valid_is_told_with_its_field(loop: Loop) -> None:
    loop.create(replicas="many")
    await loop.look()
    (planned,) = [c for c in loop.cluster.status()["conditions"] if c["type"] == "Planned"]
    assert (planned["reason"], "spec.replicas" in planned["message"]) == ("InvalidSpec", True)


async def test_a_spec_gone_bad_leaves_the_workload_and_the_plan_that_is_shown(loop: Loop) -> None:
    await running(loop)
    before = copy.deepcopy(loop.cluster.objects["Deployment", "ns", "one"])
    plan = loop.cluster.status()["plan"]
    loop.change(model="pvc://claim/path")
    await loop.look()
    assert loop.taken() == ["status"]
    assert loop.cluster.objects["Deployment", "ns", "one"] == before
    assert loop.cluster.status()["plan"] == plan
    assert loop.cluster.condition("Degraded") == ("True", "SpecNotApplied")


async def test_facts_that_are_read_are_waited_for_in_silence_and_told_of_when_it_takes_long() -> None:
    loop = Loop(settle_seconds=1.0)
    loop.known = Pending(0.25)
    loop.create()
    assert await loop.look() == pytest.approx(0.75)
    assert loop.taken() == []
    loop.known = Pending(5.0)
    assert await loop.look() is None
    assert loop.cluster.condition("Planned") == ("Unknown", "ReadingModelFacts")


async def test_a_plan_in_force_needs_no_facts(loop: Loop) -> None:
    await running(loop)
    loop.known = Pending(5.0)
    loop.change(replicas=2)
    await loop.look()
    assert loop.taken() == ["apply Deployment", "status"]
    assert loop.cluster.objects["Deployment", "ns", "one"]["spec"]["replicas"] == 2


async def test_facts_that_failed_are_asked_for_again(loop: Loop) -> None:
    failure = MetadataFailure("HubUnreachable", "the Hub does not answer", retryable=True)
    loop.known = Known({CheckpointRef(MODEL): failure}, retry_seconds=5.0)
    loop.create()
    assert await loop.look() == 5.0
    assert loop.cluster.condition("Planned") == ("False", "HubUnreachable")


async def test_what_is_edited_by_hand_is_put_back_once(loop: Loop) -> None:
    await running(loop)
    loop.edit(replicas=7)
    await loop.look()
    assert loop.taken() == ["apply Deployment", "status"]
    assert loop.cluster.objects["Deployment", "ns", "one"]["spec"]["replicas"] == 1
    loop.pods_ready()
    await loop.look()
    assert loop.taken() == ["status"]


async def test_an_item_that_was_renamed_takes_its_list_back_first(loop: Loop) -> None:
    await running(loop)
    port = loop.cluster.objects["Service", "ns", "one"]["spec"]["ports"][0]
    loop.edit("Service", ports=[{**port, "port": 9000}])
    await loop.look()
    assert loop.taken() == ["replace lists of Service", "apply Service", "forget updates of Service"]


async def test_a_deployment_deleted_by_hand_comes_back_with_the_plan_it_had(loop: Loop) -> None:
    await running(loop)
    before = loop.cluster.objects.pop(("Deployment", "ns", "one"))
    loop.cache.remove_child("Deployment", "ns", "one")
    loop.known = Pending(5.0)
    await loop.look()
    assert (
        loop.cluster.objects["Deployment", "ns", "one"]["metadata"]["annotations"] == before["metadata"]["annotations"]
    )


async def test_a_resource_that_went_unseen_is_not_brought_back_by_the_end_of_its_workload(loop: Loop) -> None:
    await running(loop)
    for kind in ("ModelServing", "Deployment", "Service"):
        del loop.cluster.objects[kind, "ns", "one"]
    loop.cache.remove_child("Deployment", "ns", "one")
    loop.cache.remove_child("Service", "ns", "one")
    assert await loop.look() is None
    assert loop.taken() == []
    assert loop.cache.serving("ns/one") is None


async def test_a_resource_that_is_being_deleted_is_left_to_its_deletion(loop: Loop) -> None:
    await running(loop)
    found = loop.cluster.objects["ModelServing", "ns", "one"]
    found["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    loop.delivery.serving("MODIFIED", loop.cluster.put(found))
    loop.cache.remove_child("Deployment", "ns", "one")
    assert await loop.look() is None
    assert loop.taken() == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(ForbiddenError("exceeded quota", 403), "ApplyRefused", id="a quota"),
        pytest.param(InvalidObjectError("spec is invalid", 422), "ApplyRefused", id="an invalid object"),
        pytest.param(ConflictError("conflict with kubectl", 409), "NameConflict", id="fields of somebody else's"),
    ],
)
async def test_a_refusal_is_told_and_tried_again_later(loop: Loop, error: ClusterError, reason: str) -> None:
    loop.create()
    loop.cluster.fail["apply", "Deployment"] = error
    assert (await loop.look() or 0) >= 30
    assert loop.cluster.condition("Planned") == ("False", reason)
    loop.taken()
    await loop.look()
    assert loop.taken() == WHOLE


async def test_a_namespace_that_ends_is_left_in_peace(loop: Loop) -> None:
    loop.create()
    loop.cluster.fail["apply", "Deployment"] = NamespaceEndsError("being terminated", 403)
    assert (await loop.look() or 0) > 1
    assert (await loop.look() or 0) > 1
    assert loop.taken() == []


async def test_a_server_that_does_not_answer_is_the_queues_affair(loop: Loop) -> None:
    loop.create()
    loop.cluster.fail["apply", "Deployment"] = ClusterError("timed out")
    with pytest.raises(ClusterError, match="timed out"):
        await loop.look()
    await loop.look()
    assert loop.taken() == WHOLE


@pytest.mark.parametrize("kind", ["Deployment", "Service"])
async def test_what_others_made_under_the_name_is_left_alone(loop: Loop, kind: str) -> None:
    loop.cluster.put({"kind": kind, "metadata": {"name": "one", "namespace": "ns"}, "spec": {}})
    loop.create()
    assert await loop.look() == 30.0
    assert loop.taken() == ["status"]
    assert loop.cluster.condition("Planned") == ("False", "NameConflict")


async def test_a_label_taken_away_does_not_make_a_workload_somebody_elses(loop: Loop) -> None:
    await running(loop)
    loop.cluster.objects["Deployment", "ns", "one"]["metadata"]["labels"] = {}
    loop.cache.remove_child("Deployment", "ns", "one")
    await loop.look()
    assert "apply Deployment" in loop.taken()


async def test_of_two_that_want_one_name_the_first_has_it_and_the_second_waits(loop: Loop) -> None:
    await running(loop, "a-b")
    loop.create("a.b", uid="22222222-2222-2222-2222-222222222222")
    await loop.look("a.b")
    assert loop.taken() == ["status"]
    assert loop.cluster.condition("Planned", "a.b") == ("False", "NameConflict")
    assert set(loop.interests.of_name("ns")) == {"ns/a.b"}


async def test_what_a_namesake_left_behind_is_waited_for_in_silence(loop: Loop) -> None:
    await running(loop)
    loop.delivery.serving("DELETED", loop.cluster.objects["ModelServing", "ns", "one"])
    loop.create(uid="22222222-2222-2222-2222-222222222222")
    assert await loop.look() == 1.0
    assert loop.taken() == []


async def test_plan_only_on_what_runs_deletes_it(loop: Loop) -> None:
    await running(loop)
    loop.change(planOnly=True)
    await loop.look()
    assert loop.taken() == ["delete Deployment", "delete Service", "status"]
    assert loop.cluster.condition("Available") == ("False", "PlanOnly")


async def test_a_bug_is_told_as_one(loop: Loop) -> None:
    loop.create()
    await loop.reconciler.tell_bug("ns/one", ValueError("surprise"))
    assert loop.cluster.condition("Planned") == ("False", "ReconcileError")


UNPLACED = Trouble("PodUnschedulable", "no node takes it", "2026-11-23T00:00:00Z")


async def drained(loop: Loop, policy: str) -> None:
    """Run one on the L40S, then have somebody drain that node: the pod that takes its place finds none."""
    loop.picture.put_node(node("l40s", L40S), 1)
    await running(loop, replan=policy)
    assert product(loop) == L40S
    loop.picture.put_node(replace(node("l40s", L40S), schedulable=False), 2)
    loop.troubles.put("pod", "ns/one", UNPLACED)
    found = loop.cluster.objects["Deployment", "ns", "one"]
    status = {**found["status"], "readyReplicas": 0, "availableReplicas": 0}
    loop.delivery.child("MODIFIED", child_of(loop.cluster.put({**found, "status": status}), CHILDREN["Deployment"]))


def product(loop: Loop) -> str:
    affinity = loop.cluster.objects["Deployment", "ns", "one"]["spec"]["template"]["spec"]["affinity"]
    text = str(affinity)
    return next(name for name in (L40S, H100) if name in text)


def degraded(loop: Loop) -> str:
    return next(str(c["message"]) for c in loop.cluster.status()["conditions"] if c["type"] == "Degraded")


async def test_never_keeps_the_plan_of_pods_that_find_no_node_and_says_what_would_help(loop: Loop) -> None:
    await drained(loop, "Never")
    loop.now = "2026-11-23T01:00:00Z"
    await loop.look()
    assert product(loop) == L40S
    assert "spec.replan: WhenUnschedulable would look for another plan." in degraded(loop)


async def test_when_unschedulable_waits_for_its_time_and_then_makes_another_plan(loop: Loop) -> None:
    await drained(loop, "WhenUnschedulable")
    loop.now = "2026-11-23T00:04:00Z"
    assert await loop.look() == pytest.approx(60.0)
    assert product(loop) == L40S
    assert "a new plan is looked for 300 s after 2026-11-23T00:00:00Z" in degraded(loop)
    loop.now = "2026-11-23T00:05:00Z"
    await loop.look()
    assert product(loop) == H100
    assert ("Normal", "PlanFits") in loop.events[-2:]


async def test_always_does_not_wait(loop: Loop) -> None:
    await drained(loop, "Always")
    await loop.look()
    assert product(loop) == H100


async def test_always_takes_what_is_preferred_as_soon_as_it_is_there_and_then_stays(loop: Loop) -> None:
    await running(loop, replan="Always")
    assert product(loop) == H100
    loop.picture.put_node(node("l40s", L40S), 1)
    await loop.look()
    assert product(loop) == L40S
    loop.pods_ready()
    await loop.look()
    loop.taken()
    loop.picture.put_node(node("more", H100), 1)
    await loop.look()
    assert loop.taken() == []


async def test_no_plan_gives_way_to_one_that_could_not_start(loop: Loop) -> None:
    await drained(loop, "Always")
    loop.picture.put_pod("others", busy("h100", 8))
    loop.now = "2026-11-23T00:01:00Z"
    await loop.look()
    assert product(loop) == L40S
    assert "no other plan could start now" in degraded(loop)


async def test_a_new_plan_that_needs_facts_which_are_not_there_leaves_the_old_one(loop: Loop) -> None:
    await drained(loop, "Always")
    loop.known = Pending(100.0)
    await loop.look()
    assert product(loop) == L40S
    assert loop.cluster.condition("Planned")[0] == "True"
