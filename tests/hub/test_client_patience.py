"""How long a Hub is waited for, and how often it is asked again.

The client, huggingface_hub and HTTP are real; the Hub is a server on loopback, as huggingface.co cannot be reached here.
"""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from hub.checkpoints import ALL, CONFIG, TINY
from hub.conftest import MakeClient, failing
from hub.loopback_hub import Answer, LoopbackHub, always, refusal, safetensors_file
from modelserving.hub.client import HubClient
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata

API = "/revision/main"
WEIGHTS = "/model.safetensors"


async def broken_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": ')
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_hub_that_recovers_is_asked_again(hub: LoopbackHub, client: HubClient, status: int) -> None:
    hub.add("org/tiny", CONFIG)
    hub.fail("/config.json", refusal(status), always(body=json.dumps(CONFIG).encode()))
    assert isinstance(await client.fetch(TINY), ModelMetadata)
    first, second = hub.asked("/config.json")
    assert second.at - first.at >= 0.5


async def test_the_wait_that_the_hub_asks_for_is_kept(hub: LoopbackHub, client: HubClient) -> None:
    hub.add("org/tiny", CONFIG)
    hub.fail("/config.json", refusal(429, headers={"Retry-After": "2"}), always(body=json.dumps(CONFIG).encode()))
    assert isinstance(await client.fetch(TINY), ModelMetadata)
    first, second = hub.asked("/config.json")
    assert second.at - first.at >= 2.0


async def test_a_wait_past_the_deadline_is_not_begun(hub: LoopbackHub, client: HubClient) -> None:
    hub.fail(API, refusal(429, headers={"Retry-After": "3600"}))
    failure = await failing(client)
    assert (failure.reason, failure.retryable, len(hub.seen)) == ("HubUnreachable", True, 1)
    assert "status 429 and asks to wait 3600 s" in failure.message


@pytest.mark.parametrize("written", ["Wed, 21 Oct 2026 07:28:00 GMT", "-5", "9" * 40, "soon"])
async def test_a_wait_that_is_no_number_of_seconds_is_not_kept(
    hub: LoopbackHub, client: HubClient, written: str
) -> None:
    hub.add("org/tiny", CONFIG)
    hub.fail(API, refusal(503, headers={"Retry-After": written}), refusal(404))
    assert isinstance(await client.fetch(TINY), MetadataFailure)
    assert len(hub.asked(API)) == 2


async def test_a_hub_that_stays_broken_is_asked_a_few_times(hub: LoopbackHub, client: HubClient) -> None:
    hub.fail(API, refusal(500))
    failure = await failing(client)
    assert (failure.reason, failure.retryable, len(hub.seen)) == ("HubUnreachable", True, 4)
    assert f"the Hub at {hub.endpoint} answers with status 500" in failure.message


async def test_an_answer_that_breaks_off_is_asked_again(hub: LoopbackHub, client: HubClient) -> None:
    hub.add("org/tiny", CONFIG)
    hub.fail("/config.json", broken_off, always(body=json.dumps(CONFIG).encode()))
    assert isinstance(await client.fetch(TINY), ModelMetadata)


async def test_a_hub_that_always_breaks_off_is_unreachable(hub: LoopbackHub, make_client: MakeClient) -> None:
    hub.fail(API, broken_off)
    failure = await failing(make_client(timeout_seconds=1.0))
    assert (failure.reason, failure.retryable) == ("HubUnreachable", True)


async def test_a_refused_connection_is_said_so(make_client: MakeClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # Bound and not listening: the port is nobody else's, and connecting to it is refused.
        port = taken.getsockname()[1]
        failure = await failing(make_client(f"http://127.0.0.1:{port}", timeout_seconds=1.0))
    assert (failure.reason, failure.retryable) == ("HubUnreachable", True)
    assert f"http://127.0.0.1:{port} could not be reached" in failure.message


def silent(hub: LoopbackHub) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        await hub.closing.wait()
        return web.Response()

    return answer


def trickling(hub: LoopbackHub) -> Answer:
    """One byte at a time, each in time for a read, never done."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while not hub.closing.is_set():
            try:
                await response.write(b" ")
                await asyncio.wait_for(hub.closing.wait(), 0.05)
            except TimeoutError:
                continue
            except ConnectionError:
                break
        return response

    return answer


@pytest.mark.parametrize("slow", [silent, trickling])
@pytest.mark.parametrize("path", [API, "/config.json", WEIGHTS])
async def test_a_slow_hub_costs_no_more_than_the_deadline(
    hub: LoopbackHub, make_client: MakeClient, path: str, slow: Callable[[LoopbackHub], Answer]
) -> None:
    hub.add("org/tiny", CONFIG, {"model.safetensors": safetensors_file(ALL)})
    hub.fail(path, slow(hub))
    clock = asyncio.get_running_loop()
    began = clock.time()
    failure = await failing(make_client(timeout_seconds=1.0, request_timeout_seconds=0.4))
    assert (failure.reason, failure.retryable) == ("HubUnreachable", True)
    assert "did not answer in time" in failure.message
    assert clock.time() - began < 3.0


async def test_a_slow_checkpoint_does_not_hold_up_another(hub: LoopbackHub, make_client: MakeClient) -> None:
    hub.add("org/tiny", CONFIG)
    hub.fail("org/slow/revision/main", silent(hub))
    client = make_client(timeout_seconds=5.0)
    slow = asyncio.create_task(client.fetch(CheckpointRef("org/slow")))
    while not hub.asked("org/slow/revision/main"):
        await asyncio.sleep(0)
    assert isinstance(await client.fetch(TINY), ModelMetadata)
    assert not slow.done()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow


async def test_a_resolver_that_hangs_is_given_up(
    hub: LoopbackHub, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver is replaced: a name server that hangs cannot be had here, and resolving knows no time-out."""
    answered = threading.Event()
    resolve = socket.getaddrinfo

    def hanging(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "hub.test":
            answered.wait(30)
        return resolve("127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    failure = await failing(make_client("http://hub.test:9", timeout_seconds=0.2))
    answered.set()
    assert (failure.reason, failure.retryable) == ("HubUnreachable", True)
    assert "http://hub.test:9 did not answer within 0.2 s" in failure.message
