"""Workers and resync: one key's failure is that key's, and what a list tells replaces what was known."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from loop_cases import Clock, Loop, Silence, serving
from modelserving.controller.loop import Resync, Workers
from modelserving.errors import ClusterError, LeaseLostError


class Tally(Silence):
    """Notes how looks ended."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def reconciled(self, outcome: str, seconds: float) -> None:
        self.outcomes.append(outcome)


@asynccontextmanager
async def working(loop: Loop, tally: Tally, clock: Callable[[], float]) -> AsyncIterator[Workers]:
    workers = Workers(loop.queue, loop.reconciler, tally, clock)
    task = asyncio.create_task(workers.work())
    try:
        yield workers
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        loop.queue.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
async def loop() -> Loop:
    return Loop()


async def test_a_worker_looks_at_one_key_after_the_other(loop: Loop) -> None:
    tally = Tally()
    async with working(loop, tally, loop.clock):
        loop.create("a")
        loop.create("b", model="pvc://claim/path")
        await until(lambda: len(tally.outcomes) == 2)
    assert tally.outcomes == ["done", "done"]


async def test_a_server_that_fails_costs_a_pause_and_the_next_key_goes_on(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally()
    loop.cluster.fail["apply", "Deployment"] = ClusterError("overloaded", 429, retry_after=7.0)
    async with working(loop, tally, loop.clock):
        loop.create("a")
        loop.create("b")
        await until(lambda: len(tally.outcomes) == 2)
    assert tally.outcomes == ["error", "done"]
    assert "ns/a: overloaded; trying again in 7.0 s" in caplog.text


async def test_a_bug_in_one_key_is_logged_and_told_and_the_next_key_goes_on(
    loop: Loop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally, reconcile = Tally(), loop.reconciler.reconcile

    async def sometimes(key: str) -> float | None:
        if key == "ns/a":
            raise ZeroDivisionError("surprise")
        return await reconcile(key)

    monkeypatch.setattr(loop.reconciler, "reconcile", sometimes)
    async with working(loop, tally, loop.clock):
        loop.create("a")
        loop.create("b")
        await until(lambda: len(tally.outcomes) == 2)
    assert tally.outcomes == ["error", "done"]
    assert "ZeroDivisionError" in caplog.text
    assert loop.cluster.condition("Planned", "a") == ("False", "ReconcileError")


async def test_a_look_that_takes_long_is_seen(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, open_ = Clock(), asyncio.Event()

    async def stuck(_: str) -> None:
        await open_.wait()

    monkeypatch.setattr(loop.reconciler, "reconcile", stuck)
    async with working(loop, Tally(), clock) as workers:
        assert workers.longest_seconds() == 0.0
        loop.queue.add("ns/a")
        await until(lambda: loop.queue.depth() == 0)
        await asyncio.sleep(0)
        clock.seconds += 100
        assert workers.longest_seconds() == 100.0
        open_.set()
        await until(lambda: workers.longest_seconds() == 0.0)


async def nothing() -> None:
    """Nothing to tidy."""


async def test_a_resync_reads_everything_and_tells_its_age(loop: Loop) -> None:
    resync = Resync(loop.cluster, loop.delivery, nothing, 600.0, loop.clock)
    loop.clock.seconds += 50
    assert resync.age_seconds() == 50.0
    loop.cluster.put(serving("listed"))
    await resync.once()
    assert loop.cache.serving("ns/listed") is not None
    assert loop.picture.products() == set()
    assert resync.age_seconds() == 0.0


async def test_a_resync_that_fails_is_tried_again_and_ends_nothing(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    tidied: list[str] = []

    async def tidy() -> None:
        tidied.append("tidied")

    resync = Resync(loop.cluster, loop.delivery, tidy, 0.001, loop.clock)
    loop.cluster.fail["list", "ModelServing"] = ClusterError("no answer")
    loop.cluster.put(serving("listed"))
    task = asyncio.create_task(resync.run())
    await until(lambda: bool(tidied) or task.done())
    task.cancel()
    assert loop.cache.serving("ns/listed") is not None
    assert "resync: no answer" in caplog.text
    assert not issubclass(LeaseLostError, ClusterError)
