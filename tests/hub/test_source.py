"""Where facts come from when there is a Hub, when there is none, and after a restart.

Client and HTTP are real, the Hub is on loopback; the store is in memory, as the cluster's needs an API server.
"""

import asyncio
from dataclasses import dataclass

import pytest

from hub.checkpoints import CONFIG, TINY
from hub.conftest import MakeClient
from hub.loopback_hub import LoopbackHub, always, refusal
from hub.memory_store import MemoryStore
from modelserving.hub.client import HubClient
from modelserving.hub.source import MetadataSource
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata, Origin

LLAVA = CheckpointRef("llava-hf/llava-onevision-qwen2-72b-ov-hf")
DAY = 86_400.0
# Nobody listens on the discard port.
NO_HUB = "http://127.0.0.1:9"
# Asks for more patience than the client has, so that it asks once.
AWAY = refusal(503, headers={"Retry-After": "3600"})


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def source(client: HubClient, store: MemoryStore, clock: Clock) -> MetadataSource:
    return MetadataSource(client, store, clock=clock)


async def found(source: MetadataSource, ref: CheckpointRef = TINY, **how: str) -> ModelMetadata:
    answer = await source.fetch(ref, **how)
    assert isinstance(answer, ModelMetadata), answer
    return answer


async def not_found(source: MetadataSource, ref: CheckpointRef = TINY, **how: str) -> MetadataFailure:
    answer = await source.fetch(ref, **how)
    assert isinstance(answer, MetadataFailure), answer
    return answer


async def test_the_hub_is_asked_before_the_catalogue(hub: LoopbackHub, source: MetadataSource) -> None:
    hub.add(LLAVA.model, CONFIG)
    metadata = await found(source, LLAVA)
    assert (metadata.origin, metadata.config) == (Origin.HUB, CONFIG)


async def test_what_is_known_is_not_asked_again(hub: LoopbackHub, source: MetadataSource) -> None:
    hub.add("org/tiny", CONFIG)
    first = await found(source)
    asked = len(hub.seen)
    assert await found(source) == first
    assert await found(source, CheckpointRef("org/tiny", first.revision)) == first
    assert len(hub.seen) == asked


async def test_a_restart_asks_nothing(hub: LoopbackHub, client: HubClient, store: MemoryStore, clock: Clock) -> None:
    hub.add("org/tiny", CONFIG)
    first = await found(MetadataSource(client, store, clock=clock))
    asked = len(hub.seen)
    assert await found(MetadataSource(client, store, clock=clock)) == first
    assert len(hub.seen) == asked


async def test_a_plan_in_force_is_served_from_an_entry_of_any_age(
    hub: LoopbackHub, client: HubClient, store: MemoryStore, clock: Clock
) -> None:
    hub.add("org/tiny", CONFIG)
    first = await found(MetadataSource(client, store, clock=clock))
    asked = len(hub.seen)
    clock.now += 400 * DAY
    assert await found(MetadataSource(client, store, clock=clock), pinned=first.revision) == first
    assert len(hub.seen) == asked


async def test_a_plan_in_force_keeps_its_commit_when_the_branch_moved_on(
    hub: LoopbackHub, client: HubClient, store: MemoryStore, clock: Clock
) -> None:
    old = hub.add("org/tiny", CONFIG).commit
    source = MetadataSource(client, store, clock=clock)
    await found(source)
    hub.repositories["org/tiny"].commit = "f" * 40
    clock.now += 2 * DAY
    assert (await found(source)).revision == "f" * 40
    asked = len(hub.seen)
    assert (await found(MetadataSource(client, store, clock=clock), pinned=old)).revision == old
    assert len(hub.seen) == asked


async def test_a_branch_is_resolved_anew_after_a_day(hub: LoopbackHub, source: MetadataSource, clock: Clock) -> None:
    hub.add("org/tiny", CONFIG)
    await found(source)
    hub.repositories["org/tiny"].commit = "e" * 40
    clock.now += DAY
    assert (await found(source)).revision != "e" * 40
    clock.now += 1
    assert (await found(source)).revision == "e" * 40


async def test_a_commit_is_never_asked_again(hub: LoopbackHub, source: MetadataSource, clock: Clock) -> None:
    ref = CheckpointRef("org/tiny", hub.add("org/tiny", CONFIG).commit)
    await found(source, ref)
    asked = len(hub.seen)
    clock.now += 400 * DAY
    await found(source, ref)
    assert len(hub.seen) == asked


async def test_an_old_entry_is_better_than_no_hub(
    hub: LoopbackHub, client: HubClient, make_client: MakeClient, store: MemoryStore, clock: Clock
) -> None:
    hub.add("org/tiny", CONFIG)
    first = await found(MetadataSource(client, store, clock=clock))
    clock.now += 10 * DAY
    assert await found(MetadataSource(make_client(NO_HUB, 1.0), store, clock=clock)) == first


async def test_the_catalogue_answers_where_the_hub_cannot_be_reached(
    make_client: MakeClient, store: MemoryStore
) -> None:
    metadata = await found(MetadataSource(make_client(NO_HUB, 1.0), store), LLAVA)
    assert (metadata.origin, metadata.revision) == (Origin.CATALOGUE, "main")
    # What ships with the operator needs no second copy, and must not outlive an update of it.
    assert store.texts == {}


async def test_the_catalogue_answers_where_the_hub_is_switched_off() -> None:
    assert (await found(MetadataSource(None), LLAVA)).origin is Origin.CATALOGUE


async def test_a_definite_no_of_the_hub_is_believed(hub: LoopbackHub, source: MetadataSource) -> None:
    assert (await not_found(source, LLAVA)).reason == "ModelNotFound"
    assert hub.seen


async def test_an_answer_that_is_none_is_not_covered_up(hub: LoopbackHub, source: MetadataSource) -> None:
    hub.fail("/revision/main", always(body=b"<html>log in</html>"))
    assert (await not_found(source, LLAVA)).reason == "HubAnswerInvalid"


async def test_without_hub_and_entry_the_failure_says_both(make_client: MakeClient) -> None:
    failure = await not_found(MetadataSource(make_client(NO_HUB, 1.0)))
    assert (failure.reason, failure.retryable) == ("HubUnreachable", True)
    assert f"the Hub at {NO_HUB} could not be reached" in failure.message
    assert "catalogue has no entry for org/tiny" in failure.message
    assert "MODELSERVING_HUB_ENDPOINT" in failure.message


async def test_with_the_hub_off_the_failure_says_how_to_switch_it_on() -> None:
    failure = await not_found(MetadataSource(None))
    assert (failure.reason, failure.retryable) == ("ModelNotFound", False)
    assert "switched off" in failure.message
    assert "MODELSERVING_HUB_ENABLED=true" in failure.message


async def test_a_branch_the_catalogue_does_not_know_is_named() -> None:
    failure = await not_found(MetadataSource(None), CheckpointRef(LLAVA.model, "experimental"))
    assert "but not its revision experimental; " in failure.message
    assert "leave out spec.revision" in failure.message


async def test_a_name_that_cannot_be_needs_no_hub() -> None:
    assert (await not_found(MetadataSource(None), CheckpointRef("two words"))).reason == "InvalidModelName"


async def test_a_hub_that_is_away_is_left_alone_for_a_while_that_grows(
    hub: LoopbackHub, make_client: MakeClient, clock: Clock
) -> None:
    hub.fail("/revision/main", AWAY)
    source = MetadataSource(make_client(), retry_seconds=5.0, clock=clock)
    for model in ("org/one", "org/two"):
        await not_found(source, CheckpointRef(model))
    for pause in (5.0, 10.0, 20.0):
        asked = len(hub.seen)
        await not_found(source)
        assert len(hub.seen) == asked + 1
        clock.now += pause - 0.1
        assert "status 503" in (await not_found(source, CheckpointRef("org/other"))).message
        assert len(hub.seen) == asked + 1
        clock.now += 0.2
    for _ in range(10):
        clock.now += 600.1
        await not_found(source)
    asked = len(hub.seen)
    clock.now += 599.9
    await not_found(source)
    assert len(hub.seen) == asked


async def test_a_model_whose_answers_fail_says_nothing_of_the_others(hub: LoopbackHub, source: MetadataSource) -> None:
    hub.add("org/tiny", CONFIG)
    hub.fail("/org/broken/revision/main", AWAY)
    for _ in range(5):
        await not_found(source, CheckpointRef("org/broken"))
    assert (await not_found(source, CheckpointRef("org/other"))).reason == "ModelNotFound"
    await found(source)


async def test_a_hub_that_is_back_is_asked_as_before(hub: LoopbackHub, source: MetadataSource, clock: Clock) -> None:
    hub.add("org/tiny", CONFIG)
    hub.fail("/revision/main", AWAY)
    await not_found(source)
    hub.faults.clear()
    clock.now += 5.1
    await found(source)
    assert (await not_found(source, CheckpointRef("org/other"))).reason == "ModelNotFound"


async def test_those_who_ask_at_once_share_one_reading(hub: LoopbackHub, source: MetadataSource) -> None:
    hub.add("org/tiny", CONFIG)
    impatient = asyncio.create_task(source.fetch(TINY))
    while not hub.seen:
        await asyncio.sleep(0)
    others = [asyncio.create_task(source.fetch(TINY)) for _ in range(20)]
    impatient.cancel()
    answers = await asyncio.gather(*others)
    assert all(isinstance(answer, ModelMetadata) for answer in answers)
    assert len(hub.asked("/revision/main")) == 1


async def test_what_one_token_may_read_is_not_shown_to_others(
    hub: LoopbackHub, source: MetadataSource, client: HubClient, store: MemoryStore, clock: Clock
) -> None:
    hub.add("org/tiny", CONFIG, gated_for="hf_secret")
    await found(source, token="hf_secret", scope="research")
    asked = len(hub.seen)
    await found(source, token="hf_secret", scope="research")
    assert len(hub.seen) == asked
    for reader in (source, MetadataSource(client, store, clock=clock)):
        assert (await not_found(reader, scope="sales")).reason == "AccessDenied"


async def test_a_broken_store_costs_questions_not_answers(
    hub: LoopbackHub, client: HubClient, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    hub.add("org/tiny", CONFIG)
    store.broken = True
    await found(MetadataSource(client, store))
    assert "could not be read from the cache: the API server is away" in caplog.text
    assert "could not be kept in the cache: the API server is away" in caplog.text


async def test_an_unreadable_entry_is_read_anew(hub: LoopbackHub, source: MetadataSource, store: MemoryStore) -> None:
    hub.add("org/tiny", CONFIG)
    store.texts[TINY] = "garbage"
    assert (await found(source)).origin is Origin.HUB


async def test_memory_is_bounded(hub: LoopbackHub, client: HubClient, store: MemoryStore) -> None:
    source = MetadataSource(client, store)
    for number in range(140):
        hub.add(f"org/tiny-{number}", CONFIG)
        await found(source, CheckpointRef(f"org/tiny-{number}"))
    store.texts.clear()
    asked = len(hub.seen)
    await found(source, CheckpointRef("org/tiny-139"))
    assert len(hub.seen) == asked
    await found(source, CheckpointRef("org/tiny-0"))
    assert len(hub.seen) > asked
