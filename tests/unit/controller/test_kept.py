"""A spec that cannot be served leaves what runs as it was made, at the number of replicas that is wanted now."""

import copy
from typing import Any

import pytest

from loop_cases import Loop
from modelserving.controller.children import child_of
from modelserving.controller.resources import CHILDREN

BAD: dict[str, dict[str, Any]] = {
    "not supported": {"model": "pvc://claim/path"},
    "not valid": {"concurrency": "many"},
    "a flag of ours": {"engine": {"extraArgs": ["--tensor-parallel-size=3"]}},
    "no node": {"gpu": {"products": ["NVIDIA-NONE"]}},
}


@pytest.fixture
async def loop() -> Loop:
    running = Loop()
    running.create()
    await running.look()
    running.pods_ready()
    await running.look()
    running.taken()
    return running


def deployment(loop: Loop) -> dict[str, Any]:
    return loop.cluster.objects["Deployment", "ns", "one"]


@pytest.mark.parametrize("name", BAD)
async def test_scaling_still_works(loop: Loop, name: str) -> None:
    loop.change(**BAD[name])
    await loop.look()
    template = copy.deepcopy(deployment(loop)["spec"]["template"])
    loop.change(replicas=3)
    await loop.look()
    assert deployment(loop)["spec"]["replicas"] == 3
    assert deployment(loop)["spec"]["template"] == template
    assert loop.cluster.condition("Planned")[0] == "False"


@pytest.mark.parametrize("name", BAD)
async def test_what_is_changed_by_hand_is_put_back(loop: Loop, name: str) -> None:
    loop.change(**BAD[name])
    await loop.look()
    before = copy.deepcopy(deployment(loop)["spec"])
    loop.edit(replicas=7)
    await loop.look()
    assert deployment(loop)["spec"] == before


@pytest.mark.parametrize("name", BAD)
async def test_a_deployment_deleted_by_hand_comes_back(loop: Loop, name: str) -> None:
    loop.change(**BAD[name])
    await loop.look()
    before = copy.deepcopy(deployment(loop)["spec"])
    loop.delete_child()
    await loop.look()
    assert deployment(loop)["spec"] == before


async def test_a_number_of_replicas_that_is_none_leaves_the_last(loop: Loop) -> None:
    loop.change(replicas="many")
    await loop.look()
    assert deployment(loop)["spec"]["replicas"] == 1
    assert loop.taken() == ["status"]


async def test_nothing_is_written_again_while_the_spec_stays_bad(loop: Loop) -> None:
    loop.change(**BAD["not valid"])
    await loop.look()
    assert loop.taken() == ["status"]
    await loop.look()
    assert loop.taken() == []


async def test_plan_only_does_not_keep_what_it_cannot_plan(loop: Loop) -> None:
    loop.change(planOnly=True, concurrency="many")
    await loop.look()
    loop.edit(replicas=7)
    await loop.look()
    assert deployment(loop)["spec"]["replicas"] == 7


async def test_a_resource_that_never_ran_has_nothing_to_keep() -> None:
    fresh = Loop()
    fresh.create(concurrency="many")
    await fresh.look()
    assert fresh.taken() == ["status"]


async def test_a_writer_that_never_gives_up_is_named_and_left_alone_for_a_while(loop: Loop) -> None:
    for _ in range(3):
        loop.edit(replicas=7)
        await loop.look()
        assert deployment(loop)["spec"]["replicas"] == 1
    loop.edit(replicas=7)
    loop.taken()
    again = await loop.look()
    assert deployment(loop)["spec"]["replicas"] == 7
    assert loop.taken() == ["status"]
    assert loop.cluster.condition("Degraded") == ("True", "Contested")
    assert again is not None
    loop.clock.seconds += again
    await loop.look()
    assert deployment(loop)["spec"]["replicas"] == 1
    assert loop.cluster.condition("Degraded") == ("False", "Healthy")


async def test_after_a_restart_pods_that_are_missing_keep_their_gpus() -> None:
    loop = Loop()
    loop.create(replicas=4, gpu={"tensorParallelSize": 2})
    await loop.look()
    again = Loop()
    for manifest in loop.cluster.objects.values():
        again.cluster.put(manifest)
    again.delivery.serving(None, again.cluster.objects["ModelServing", "ns", "one"])
    found = again.cluster.objects["Deployment", "ns", "one"]
    again.delivery.children_listed(CHILDREN["Deployment"], [child_of(found, CHILDREN["Deployment"])], 1)
    again.reconciler.assume_known()
    assert sum(pod.gpus for pod in again.picture.snapshot().pods) == 8
    again.create("two", gpu={"tensorParallelSize": 1})
    await again.look("two")
    assert again.cluster.condition("Planned", "two") == ("True", "PlanWaitsForFreeGPUs")
