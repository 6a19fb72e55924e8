"""A proxy between a client and the API server that makes the network and the server misbehave on command.

Requests go to the real API server and its answers come back as they are, until a fault says otherwise. It terminates TLS with
a certificate of the cluster's own authority, so a client needs nothing but another URL; client certificates do not survive
that, ServiceAccount tokens do: `cluster.service_account_kubeconfig(namespace, name, server=proxy.url)`.

It runs in a thread of its own: its methods may be called from plain tests and from coroutines alike.
"""

import asyncio
import contextlib
import json
import re
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector, web
from aiohttp.client import _RequestContextManager

from localcluster import LocalCluster
from localcluster.commands import LOOPBACK, free_port

# `Content-Length` stays: bodies pass as they are.
HOP_HEADERS = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"})
REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
CALL_SECONDS = 10.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Seen:
    """One request that reached the proxy, and the status that its client got (0: the connection was cut instead)."""

    method: str
    path: str
    status: int


@dataclass(eq=False, slots=True)
class Fault:
    """What happens to matching requests. `hits` counts them; as a context manager it ends with the block.

    Attributes:
        act: called with the request instead of passing it on; an answer of None lets the request go on to the next fault.
        method: a regular expression for the whole method, such as `PUT|PATCH`.
        path: a regular expression searched for in path and query; `watch=` finds watches.
        times: how many requests it strikes; None for all.
    """

    act: Callable[[web.Request], Awaitable[web.StreamResponse | None]]
    method: str
    path: str
    times: int | None
    owner: "list[Fault]"
    hits: int = 0

    def strikes(self, request: web.Request) -> bool:
        """Return whether this request is one of its own, and count it if so."""
        if self.times is not None and self.hits >= self.times:
            return False
        if not re.fullmatch(self.method, request.method) or not re.search(self.path, request.path_qs):
            return False
        self.hits += 1
        return True

    def remove(self) -> None:
        """End the fault."""
        with contextlib.suppress(ValueError):
            self.owner.remove(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()


@dataclass(eq=False, slots=True)
class _Watch:
    path: str
    connection: asyncio.Transport
    response: web.StreamResponse
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class FaultProxy:
    """Stands before one cluster's API server; a context manager.

    Attributes:
        url: what clients are given instead of the API server's.
        seen: every request, in the order of their ends; watches when they begin.
    """

    def __init__(self, cluster: LocalCluster) -> None:
        self._upstream = cluster.url
        self._port = free_port()
        self.url = f"https://{LOOPBACK}:{self._port}"
        self.seen: list[Seen] = []
        self._faults: list[Fault] = []
        self._watches: list[_Watch] = []
        self._connections: set[asyncio.Transport] = set()
        self._serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._serving.load_cert_chain(cluster.pki / "kubelet.crt", cluster.pki / "kubelet.key")
        self._asking = ssl.create_default_context(cafile=str(cluster.ca))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faultproxy")

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fail(
        self,
        status: int,
        method: str = ".*",
        path: str = "",
        times: int | None = None,
        retry_after: int | None = None,
    ) -> Fault:
        """Answer matching requests with an error of the API server's shape; they never reach it.

        Args:
            status: such as 500, 503, 429, 410.
            method: regular expression for the method.
            path: regular expression searched for in path and query.
            times: how many requests; None for all until `remove()`.
            retry_after: seconds, for the header of that name.
        """

        async def refuse(_request: web.Request) -> web.StreamResponse:
            headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
            return web.json_response(_failure(status), status=status, headers=headers)

        return self._add(refuse, method, path, times)

    def answer(self, text: str, method: str = ".*", path: str = "", times: int | None = None) -> Fault:
        """Answer matching requests with 200 and this text, as a captive portal or a broken gateway would."""

        async def say(_request: web.Request) -> web.StreamResponse:
            return web.Response(text=text, content_type="text/html")

        return self._add(say, method, path, times)

    def delay(self, seconds: float, method: str = ".*", path: str = "", times: int | None = None) -> Fault:
        """Let matching requests wait before they go on."""

        async def wait(_request: web.Request) -> web.StreamResponse | None:
            await asyncio.sleep(seconds)
            return None

        return self._add(wait, method, path, times)

    def lose_replies(self, method: str = ".*", path: str = "", times: int | None = None) -> Fault:
        """Let the API server carry matching requests out, and cut the connection instead of bringing the answer."""

        async def lose(request: web.Request) -> web.StreamResponse | None:
            async with self._ask(request) as answer:
                await answer.read()
            _transport(request).abort()
            return web.Response(status=502)

        return self._add(lose, method, path, times)

    def drop_watches(self, path: str = "") -> int:
        """Cut the connections of the watches under way whose path and query match; return how many those were."""
        return self._call(self._drop_watches(path))

    def expire_watches(self, path: str = "") -> int:
        """End matching watches the way the API server does when history is compacted: an ERROR event with code 410."""
        return self._call(self._expire_watches(path))

    def watching(self, path: str = "") -> int:
        """Return how many watches are under way whose path and query match."""
        return self._call(self._count_watches(path))

    def partition(self) -> None:
        """Cut every connection and refuse new ones, until `heal()`."""
        self._call(self._partition())

    def heal(self) -> None:
        """End a partition."""
        self._call(self._listen())

    def clear(self) -> None:
        """End every fault but a partition."""
        self._faults.clear()

    def _add(
        self,
        act: Callable[[web.Request], Awaitable[web.StreamResponse | None]],
        method: str,
        path: str,
        times: int | None,
    ) -> Fault:
        fault = Fault(act, method, path, times, self._faults)
        self._faults.append(fault)
        return fault

    def _call(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(CALL_SECONDS)

    async def _open(self) -> None:
        connector = TCPConnector(limit=0, ssl=self._asking)
        self._session = ClientSession(connector=connector, auto_decompress=False, timeout=ClientTimeout(total=None))
        application = web.Application(client_max_size=2**26)
        application.router.add_route("*", "/{path:.*}", self._handle)
        # Handlers end with their client's connection, so that a watch nobody reads ends at the API server too.
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen()

    async def _listen(self) -> None:
        if not self._runner.sites:
            await web.TCPSite(self._runner, LOOPBACK, self._port, ssl_context=self._serving, reuse_address=True).start()

    async def _partition(self) -> None:
        for site in list(self._runner.sites):
            await site.stop()
        for connection in self._connections:
            connection.abort()
        self._connections.clear()

    async def _close(self) -> None:
        await self._partition()
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0)  # aborted connections close their sockets in the loop's next turn

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._connections = {each for each in self._connections if not each.is_closing()} | {_transport(request)}
        for fault in list(self._faults):
            if fault.strikes(request) and (response := await fault.act(request)) is not None:
                self.seen.append(Seen(request.method, request.path_qs, response.status))
                return response
        return await self._pass_on(request)

    def _ask(self, request: web.Request) -> _RequestContextManager:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_HEADERS}
        body = request.content if request.can_read_body else None
        return self._session.request(request.method, self._upstream + request.raw_path, headers=headers, data=body)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        try:
            async with self._ask(request) as answer:
                with _aborted_unless_done(answer):
                    return await self._copy(request, answer)
        except (ClientError, ConnectionError):
            # The API server, or the client, went away in the middle: the client sees just that.
            _transport(request).abort()
            return web.Response(status=502)

    async def _copy(self, request: web.Request, answer: ClientResponse) -> web.StreamResponse:
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_HEADERS}
        response = web.StreamResponse(status=answer.status, headers=headers)
        self.seen.append(Seen(request.method, request.path_qs, answer.status))
        await response.prepare(request)
        with self._listed_watch(request, response) as watch:
            # Line by line: an event put in between must not split another one.
            async for line in answer.content:
                async with watch.lock:
                    await response.write(line)
        await response.write_eof()
        return response

    @contextlib.contextmanager
    def _listed_watch(self, request: web.Request, response: web.StreamResponse) -> Iterator[_Watch]:
        watch = _Watch(request.path_qs, _transport(request), response)
        if request.query.get("watch") not in {"true", "1"}:
            yield watch
            return
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    def _matching(self, path: str) -> list[_Watch]:
        return [watch for watch in self._watches if re.search(path, watch.path)]

    async def _count_watches(self, path: str) -> int:
        return len(self._matching(path))

    async def _drop_watches(self, path: str) -> int:
        watches = self._matching(path)
        for watch in watches:
            watch.connection.abort()
        return len(watches)

    async def _expire_watches(self, path: str) -> int:
        watches = self._matching(path)
        event = json.dumps({"type": "ERROR", "object": _failure(410)}).encode() + b"\n"
        for watch in watches:
            async with watch.lock:
                await watch.response.write(event)
                await watch.response.write_eof()
            watch.connection.close()
        return len(watches)


@contextlib.contextmanager
def _aborted_unless_done(answer: ClientResponse) -> Iterator[None]:
    """Cut the connection to the API server if the block fails: a polite TLS farewell could outlive the proxy's loop."""
    transport = answer.connection.transport if answer.connection else None
    try:
        yield
    except BaseException:
        if transport:
            transport.abort()
        raise


def _transport(request: web.Request) -> asyncio.Transport:
    transport = request.transport
    assert isinstance(transport, asyncio.Transport)
    return transport


def _failure(status: int) -> dict[str, object]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"a fault made for a test: {status}",
        "reason": REASONS.get(status, "InternalError"),
        "code": status,
    }
