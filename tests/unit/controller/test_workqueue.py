"""The queue: each key at most once, never twice at a time, the urgent first."""

import asyncio

import pytest

from modelserving.controller.workqueue import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, Lane, WorkQueue


async def taken(queue: WorkQueue) -> str:
    return await asyncio.wait_for(queue.get(), 1)


async def is_empty(queue: WorkQueue) -> bool:
    try:
        await asyncio.wait_for(queue.get(), 0.02)
    except TimeoutError:
        return True
    return False


async def test_a_key_added_often_is_handed_out_once() -> None:
    queue = WorkQueue()
    for _ in range(3):
        queue.add("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert await is_empty(queue)


async def test_a_key_is_not_handed_out_twice_at_a_time_and_comes_back_after_done() -> None:
    queue = WorkQueue()
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add("a")
    assert await is_empty(queue)
    queue.done("a")
    assert await taken(queue) == "a"


async def test_what_changed_goes_before_what_goes_its_way_before_what_did_not() -> None:
    queue = WorkQueue()
    queue.add("unchanged", Lane.UNCHANGED)
    queue.add("progress", Lane.PROGRESS)
    queue.add("changed", Lane.CHANGED)
    assert [await taken(queue) for _ in range(3)] == ["changed", "progress", "unchanged"]


async def test_within_a_lane_the_first_comes_first() -> None:
    queue = WorkQueue()
    for key in "cab":
        queue.add(key)
    assert [await taken(queue) for _ in range(3)] == ["c", "a", "b"]


async def test_a_waiting_key_may_get_more_urgent_and_never_less() -> None:
    queue = WorkQueue()
    queue.add("old", Lane.UNCHANGED)
    queue.add("other", Lane.PROGRESS)
    queue.add("old", Lane.CHANGED)
    queue.add("old", Lane.UNCHANGED)
    assert queue.depth(Lane.CHANGED) == 1
    assert [await taken(queue), await taken(queue)] == ["old", "other"]
    queue.done("old")
    assert await is_empty(queue)


async def test_of_several_later_times_the_earliest_counts() -> None:
    queue = WorkQueue()
    queue.add_after("a", 30)
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    assert await taken(queue) == "a"
    queue.done("a")
    assert await is_empty(queue)
    queue.close()


async def test_a_look_in_between_makes_the_later_one_void() -> None:
    queue = WorkQueue()
    queue.add_after("a", 0.01)
    queue.add("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert await is_empty(queue)


@pytest.mark.parametrize("chance", [0.0, 0.999])
async def test_pauses_of_a_key_that_fails_double_up_to_the_longest(chance: float) -> None:
    queue = WorkQueue(lambda: chance)
    pauses = [queue.retry("a") for _ in range(30)]
    assert 0.75 * FIRST_RETRY_SECONDS <= pauses[0] <= FIRST_RETRY_SECONDS
    assert pauses[1] == pytest.approx(2 * pauses[0])
    assert 0.75 * LONGEST_RETRY_SECONDS <= pauses[-1] <= LONGEST_RETRY_SECONDS
    queue.succeeded("a")
    assert queue.retry("a") == pauses[0]
    queue.close()


async def test_a_server_that_asks_to_wait_is_obeyed() -> None:
    queue = WorkQueue()
    assert queue.retry("a", at_least_seconds=42.0) == 42.0
    queue.close()


async def test_many_unchanged_keys_do_not_come_between_the_steps_of_what_is_urgent() -> None:
    queue, done = WorkQueue(), []

    async def work() -> None:
        while True:
            key = await queue.get()
            done.append(key)
            if key == "urgent":
                for _ in range(5):  # answers of the API server
                    await asyncio.sleep(0)
                done.append("urgent done")
            queue.done(key)

    for number in range(1000):
        queue.add(str(number), Lane.UNCHANGED)
    queue.add("urgent")
    workers = [asyncio.create_task(work()) for _ in range(8)]
    while "urgent done" not in done:
        await asyncio.sleep(0)
    for worker in workers:
        worker.cancel()
    assert done.index("urgent done") <= 10
