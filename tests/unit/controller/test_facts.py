"""Facts in the background: asked once, told to all, failures told and asked about again."""

import asyncio

import pytest

from loop_cases import MODEL, Clock, Silence
from modelserving.api.modelserving import SecretKeyRef
from modelserving.controller.facts import Facts
from modelserving.controller.ports import Known, Pending
from modelserving.hub.catalogue import lookup
from modelserving.models.facts import ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata

REF = CheckpointRef(MODEL)
SECRET = SecretKeyRef(name="hub", key="token")
DOWN = MetadataFailure("HubUnreachable", "does not answer", retryable=True)


class Source:
    """Stands for the Hub, whose own behaviour is tested in tests/hub: it answers when it is told to."""

    def __init__(self) -> None:
        self.answer: ModelMetadata | MetadataFailure | Exception = lookup(REF) or DOWN
        self.asked: list[tuple[str | None, str]] = []
        self.open = asyncio.Event()

    async def fetch(
        self, ref: CheckpointRef, token: str | None = None, scope: str = ""
    ) -> ModelMetadata | MetadataFailure:
        self.asked.append((token, scope))
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def token(self, namespace: str, ref: SecretKeyRef) -> str | MetadataFailure:
        return f"{namespace}/{ref.name}" if namespace != "bare" else MetadataFailure("SecretNotFound", "none", True)


class Bench:
    def __init__(self) -> None:
        self.source, self.clock, self.ready = Source(), Clock(), asyncio.Queue[str]()
        self.facts = Facts(self.source, self.source, self.ready.put_nowait, 100.0, 5.0, self.clock, Silence())

    def ask(self, key: str = "ns/one", namespace: str = "ns", secret: SecretKeyRef | None = None) -> Known | Pending:
        return self.facts.lookup(key, [REF], secret, namespace)

    async def told(self) -> str:
        self.source.open.set()
        async with asyncio.timeout(5):
            return await self.ready.get()

    async def known(self) -> Known:
        await self.told()
        found = self.ask()
        assert isinstance(found, Known)
        return found


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_all_who_wait_for_one_checkpoint_are_told_of_one_reading(bench: Bench) -> None:
    assert bench.ask("ns/one") == Pending(0.0)
    bench.clock.seconds += 2
    assert bench.ask("ns/two") == Pending(2.0)
    assert {await bench.told(), await bench.told()} == {"ns/one", "ns/two"}
    found = bench.ask()
    assert isinstance(found, Known)
    assert isinstance(found.facts[REF], ModelFacts)
    assert found.retry_seconds is None
    assert len(bench.source.asked) == 1


async def test_facts_of_a_branch_are_read_again_when_they_are_old_and_told_meanwhile(bench: Bench) -> None:
    bench.ask()
    await bench.known()
    bench.clock.seconds += 101
    bench.source.open.clear()
    assert isinstance(bench.ask(), Known)
    await bench.told()
    assert len(bench.source.asked) == 2


async def test_a_failure_is_told_and_asked_about_again_after_pauses_that_double(bench: Bench) -> None:
    bench.source.answer = DOWN
    bench.ask()
    for pause in (5.0, 10.0, 20.0):
        found = await bench.known()
        assert (found.facts[REF], found.retry_seconds) == (DOWN, pause)
        bench.clock.seconds += pause
        assert bench.ask() == Known({REF: DOWN})
    bench.source.answer = lookup(REF) or DOWN
    await bench.told()
    assert isinstance((await asyncio.wait_for(_once(bench), 5)).facts[REF], ModelFacts)


async def _once(bench: Bench) -> Known:
    bench.clock.seconds += 1000
    bench.ask()
    return await bench.known()


async def test_each_secret_is_another_question_and_none_waits_for_the_other(bench: Bench) -> None:
    bench.ask(secret=SECRET)
    bench.ask("other/one", namespace="other", secret=SECRET)
    bench.ask("ns/open")
    bench.source.open.set()
    for _ in range(3):
        await bench.told()
    assert sorted(bench.source.asked, key=str) == [("ns/hub", "ns"), ("other/hub", "other"), (None, "")]


async def test_without_the_secret_nobody_is_asked(bench: Bench) -> None:
    bench.ask("bare/one", namespace="bare", secret=SECRET)
    assert await bench.told() == "bare/one"
    found = bench.ask("bare/one", namespace="bare", secret=SECRET)
    assert isinstance(found, Known)
    failure = found.facts[REF]
    assert isinstance(failure, MetadataFailure)
    assert (failure.reason, bench.source.asked) == ("SecretNotFound", [])


async def test_a_bug_in_reading_one_model_is_a_failure_of_that_model(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.source.answer = ValueError("surprise")
    bench.ask()
    failure = (await bench.known()).facts[REF]
    assert isinstance(failure, MetadataFailure)
    assert "surprise" in failure.message
    assert "could not be read" in caplog.text


async def test_closing_stops_what_is_being_read(bench: Bench) -> None:
    bench.ask()
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await bench.facts.close()
    assert bench.ready.empty()
