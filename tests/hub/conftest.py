"""A running loopback Hub and clients of it, for each test."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from huggingface_hub import close_session

from hub.checkpoints import TINY
from hub.loopback_hub import LoopbackHub, running_hub
from modelserving.hub.client import HubClient
from modelserving.models.metadata import CheckpointRef, MetadataFailure

MakeClient = Callable[..., HubClient]
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test asks anybody outside this machine: such an attempt is stopped before a name is resolved, and fails the test."""
    strays: list[str] = []
    resolve = socket.getaddrinfo

    def guarded(host: str | bytes | None, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or name in _LOOPBACK:
            return resolve(host, *args, **kwargs)
        strays.append(name)
        raise socket.gaierror(socket.EAI_NONAME, "only loopback addresses are resolved in these tests")

    monkeypatch.setattr(socket, "getaddrinfo", guarded)
    yield
    assert strays == []


@pytest.fixture
async def hub() -> AsyncIterator[LoopbackHub]:
    async with running_hub() as hub:
        yield hub


@pytest.fixture
def make_client(hub: LoopbackHub) -> Iterator[MakeClient]:
    """Real clients of the loopback Hub; their pauses have no jitter."""
    close_session()
    clients: list[HubClient] = []

    def make(endpoint: str = "", timeout_seconds: float = 20.0, request_timeout_seconds: float = 10.0) -> HubClient:
        client = HubClient(endpoint or hub.endpoint, timeout_seconds, request_timeout_seconds, jitter=lambda: 0.0)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
    close_session()


@pytest.fixture
def client(make_client: MakeClient) -> HubClient:
    return make_client()


async def failing(client: HubClient, ref: CheckpointRef = TINY, token: str | None = None) -> MetadataFailure:
    """Fetch, expecting a failure."""
    answer = await client.fetch(ref, token)
    assert isinstance(answer, MetadataFailure), answer
    return answer
