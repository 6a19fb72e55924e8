"""Events in, keys out: who is queued for what, and how urgently."""

import asyncio
import copy
from typing import Any

import pytest

from loop_cases import Loop, serving
from modelserving.cluster.quotas import Amount, Quota
from modelserving.cluster.snapshot import NodeFacts
from modelserving.controller.cache import serving_of
from modelserving.controller.children import child_of
from modelserving.controller.delivery import slice_of
from modelserving.controller.resources import DEPLOYMENTS
from modelserving.controller.workqueue import Lane
from planning_cases import H200, node


@pytest.fixture
async def loop() -> Loop:
    return Loop()


def waiting(loop: Loop) -> dict[Lane, int]:
    return {lane: count for lane in Lane if (count := loop.queue.depth(lane))}


def deployment(owner: str = "one", uid: str = "d", version: int = 1, **status: Any) -> dict[str, Any]:
    reference = {"kind": "ModelServing", "name": owner, "uid": f"uid of {owner}", "controller": True}
    metadata = {"name": owner, "namespace": "ns", "uid": uid, "resourceVersion": str(version)}
    return {"metadata": {**metadata, "ownerReferences": [reference]}, "spec": {"replicas": 1}, "status": status}


async def drained(loop: Loop) -> list[str]:
    keys = []
    while loop.queue.depth():
        keys.append(await loop.queue.get())
        loop.queue.done(keys[-1])
    return keys


async def test_new_and_changed_resources_come_before_unchanged_ones(loop: Loop) -> None:
    old = {**serving("old"), "status": {"observedGeneration": 1}}
    changed = {**serving("changed", generation=2), "status": {"observedGeneration": 1}}
    loop.delivery.servings_listed([serving_of(each) for each in (old, changed, serving("new"))], version=5)
    assert waiting(loop) == {Lane.CHANGED: 2, Lane.UNCHANGED: 1}
    assert (await drained(loop))[-1] == "ns/old"


async def test_an_event_that_tells_nothing_new_queues_nobody(loop: Loop) -> None:
    loop.delivery.serving("ADDED", serving(version=3))
    await drained(loop)
    loop.delivery.serving("MODIFIED", serving(version=3))
    loop.delivery.serving(None, serving(version=2))
    loop.delivery.serving("MODIFIED", serving(version=4))
    assert waiting(loop) == {}


async def test_a_list_drops_ghosts_and_spares_what_is_newer_than_it(loop: Loop) -> None:
    for name, version in (("ghost", 3), ("kept", 4), ("newer", 9)):
        loop.delivery.serving("ADDED", serving(name, version=version))
    await drained(loop)
    loop.delivery.servings_listed([serving_of(serving("kept", version=4))], version=5)
    assert set(loop.cache.known_keys()) == {"ns/kept", "ns/newer"}
    assert "ns/ghost" in await drained(loop)


async def test_a_late_word_of_an_old_namesakes_end_is_not_the_new_ones(loop: Loop) -> None:
    loop.delivery.serving("ADDED", serving(uid="new", version=8))
    loop.delivery.serving("DELETED", serving(uid="old", version=7))
    assert loop.cache.serving("ns/one") is not None


async def test_damage_to_a_workload_is_urgent_and_its_progress_is_not(loop: Loop) -> None:
    loop.delivery.serving("ADDED", serving())
    loop.delivery.children_listed(DEPLOYMENTS, [child_of(deployment(), DEPLOYMENTS)], version=1)
    await drained(loop)
    loop.delivery.child("MODIFIED", child_of(deployment(version=2, replicas=1), DEPLOYMENTS))
    assert waiting(loop) == {Lane.PROGRESS: 1}
    damaged = deployment(version=3, replicas=1)
    damaged["spec"]["replicas"] = 0
    loop.delivery.child("MODIFIED", child_of(damaged, DEPLOYMENTS))
    assert waiting(loop) == {Lane.CHANGED: 1}


async def test_the_end_of_a_workload_concerns_its_owner_and_whoever_waits_for_the_name(loop: Loop) -> None:
    loop.delivery.serving("ADDED", serving())
    loop.delivery.serving("ADDED", serving("other"))
    loop.delivery.child("ADDED", child_of(deployment(), DEPLOYMENTS))
    loop.interests.note("ns/other", wants_nodes=False, wants_name=True, product="")
    await drained(loop)
    loop.delivery.child("DELETED", child_of(deployment(version=2), DEPLOYMENTS))
    assert sorted(await drained(loop)) == ["ns/one", "ns/other"]


async def test_a_workload_of_nobody_known_queues_nobody(loop: Loop) -> None:
    loop.delivery.child("ADDED", child_of(deployment("stranger"), DEPLOYMENTS))
    assert waiting(loop) == {}


async def test_a_list_of_children_drops_ghosts_and_spares_what_was_written_after_it(loop: Loop) -> None:
    loop.delivery.serving("ADDED", serving())
    loop.delivery.child("ADDED", child_of(deployment("ghost", version=3), DEPLOYMENTS))
    loop.delivery.child("ADDED", child_of(deployment("one", version=9), DEPLOYMENTS))
    loop.delivery.children_listed(DEPLOYMENTS, [], version=5)
    assert [child.name for child in loop.cache.children("Deployment")] == ["one"]


def as_manifest(facts: NodeFacts, version: int) -> dict[str, Any]:
    allocatable = {"nvidia.com/gpu": str(facts.gpu_count), "cpu": "128", "memory": "2Ti"}
    metadata = {"name": facts.name, "labels": dict(facts.labels), "resourceVersion": str(version)}
    return {"metadata": metadata, "status": {"allocatable": allocatable}}


async def test_a_node_that_comes_concerns_whoever_waits_for_nodes_once_it_has_settled(loop: Loop) -> None:
    loop.interests.note("ns/rejected", wants_nodes=True, wants_name=False, product="")
    loop.interests.note("ns/running", wants_nodes=False, wants_name=False, product="NVIDIA-H100-80GB-HBM3")
    manifest = as_manifest(node("h200", H200), 2)
    loop.delivery.node("ADDED", manifest)
    assert waiting(loop) == {}
    async with asyncio.timeout(5):
        assert await loop.queue.get() == "ns/rejected"
    heartbeat = copy.deepcopy(manifest)
    heartbeat["metadata"]["resourceVersion"] = "3"
    loop.delivery.node("MODIFIED", heartbeat)
    loop.queue.done("ns/rejected")
    assert not loop.queue.depth()


async def test_a_node_that_goes_concerns_those_that_run_on_its_product(loop: Loop) -> None:
    loop.interests.note("ns/running", wants_nodes=False, wants_name=False, product="NVIDIA-H100-80GB-HBM3")
    loop.delivery.nodes_listed([], version=5)
    async with asyncio.timeout(5):
        assert await loop.queue.get() == "ns/running"
    assert loop.picture.products() == set()


async def test_a_quota_that_allows_more_concerns_whoever_waits_in_its_namespace(loop: Loop) -> None:
    loop.interests.note("ns/rejected", wants_nodes=True, wants_name=False, product="")
    loop.interests.note("other/rejected", wants_nodes=True, wants_name=False, product="")
    quota = Quota("ns", "team", {"pods": Amount(1)})
    loop.delivery.quotas_listed([quota])
    async with asyncio.timeout(5):
        assert await loop.queue.get() == "ns/rejected"
    loop.queue.done("ns/rejected")
    loop.delivery.quota("MODIFIED", Quota("ns", "team", {"pods": Amount(1, used=1)}))
    assert not loop.queue.depth()
    loop.delivery.quotas_listed([])
    async with asyncio.timeout(5):
        assert await loop.queue.get() == "ns/rejected"
    assert loop.picture.quota_names() == ()


async def test_a_slice_that_tells_of_a_node_concerns_whoever_waits_for_nodes(loop: Loop) -> None:
    bare = as_manifest(node("bare", H200), 2)
    bare["metadata"]["labels"] = {}
    loop.delivery.node("ADDED", bare)
    loop.interests.note("ns/rejected", wants_nodes=True, wants_name=False, product="")
    device = {
        "attributes": {"type": {"string": "gpu"}, "productName": {"string": H200}},
        "capacity": {"memory": {"value": "143771Mi"}},
    }
    manifest = {
        "metadata": {"name": "bare-gpus"},
        "spec": {
            "driver": "gpu.nvidia.com",
            "nodeName": "bare",
            "pool": {"name": "bare", "generation": 1},
            "devices": [device],
        },
    }
    loop.delivery.slices_listed([slice_of(manifest)])
    async with asyncio.timeout(5):
        assert await loop.queue.get() == "ns/rejected"
    assert H200 in loop.picture.products()
    loop.delivery.slices_listed([])
    assert H200 not in loop.picture.products()
