"""The HTTP session that huggingface_hub sends through: bounded in bytes and in time.

huggingface_hub has one session per process and reads every answer whole, however long it is and however slowly it comes. The
session installed here reads an `Allowance` from the context of the call and holds each request to it. Loopback addresses never
go through a proxy.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import httpx2
from huggingface_hub import constants, get_session, is_offline_mode, set_client_factory
from huggingface_hub.errors import OfflineModeIsEnabled

# A Hub answers a file with one or two redirects (to its cache, to its content network).
MAX_REDIRECTS = 5
# Patterns of addresses that are this machine: urllib's own rules would send them to a proxy.
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")
_DEADLINE = "modelserving_deadline"


class AnswerTooLongError(Exception):
    """The body is longer than anything that was asked for."""


class AnswerEncodedError(Exception):
    """The body is compressed although that was not asked for; its length could not be bounded."""


class RangeIgnoredError(Exception):
    """A part of a file was asked for and the whole file came."""


class OutOfTimeError(Exception):
    """The answer did not come within the time allowed."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the requests of one call may take.

    Attributes:
        deadline: when all must have ended, on `time.monotonic`.
        request_seconds: longest one request may take, its redirects included.
        max_bytes: longest body.
    """

    deadline: float
    request_seconds: float
    max_bytes: int

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()


_ALLOWANCE: ContextVar[Allowance | None] = ContextVar("hub_allowance", default=None)


@contextmanager
def bounded(allowance: Allowance) -> Iterator[None]:
    """Hold every request made in this context to an allowance."""
    token = _ALLOWANCE.set(allowance)
    try:
        yield
    finally:
        _ALLOWANCE.reset(token)


def _before_request(request: httpx2.Request) -> None:
    if is_offline_mode():
        raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
    request.headers["accept-encoding"] = "identity"
    allowance = _ALLOWANCE.get()
    if allowance is None:
        return
    now = time.monotonic()
    # A redirect carries the extensions of the request it continues, and with them its deadline.
    deadline = request.extensions.setdefault(_DEADLINE, min(allowance.deadline, now + allowance.request_seconds))
    if now >= deadline:
        raise OutOfTimeError
    request.extensions["timeout"] = httpx2.Timeout(deadline - now).as_dict()


def _after_response(response: httpx2.Response) -> None:
    allowance = _ALLOWANCE.get()
    if allowance is None:
        return
    if response.headers.get("content-encoding", "identity") != "identity":
        raise AnswerEncodedError
    max_bytes, cut = allowance.max_bytes, False
    first, last = _asked_range(response.request)
    if last is not None and response.status_code == httpx2.codes.OK:
        if first:
            raise RangeIgnoredError
        # The whole file comes where its beginning was asked for: its beginning is all that is read.
        max_bytes, cut = last + 1, True
    deadline = response.request.extensions[_DEADLINE]
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _BoundedStream(response.stream, deadline, max_bytes, cut)


def _asked_range(request: httpx2.Request) -> tuple[int, int | None]:
    """First and last byte that a request asks for; (0, None) where it asks for everything."""
    first, dash, last = request.headers.get("range", "").removeprefix("bytes=").partition("-")
    return (int(first), int(last)) if dash and first.isdigit() and last.isdigit() else (0, None)


class _BoundedStream(httpx2.SyncByteStream):
    """A body that ends with an error when it is too long or too late; or is cut where it would be too long."""

    def __init__(self, inner: httpx2.SyncByteStream, deadline: float, max_bytes: int, cut: bool) -> None:
        self._inner = inner
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._cut = cut

    def __iter__(self) -> Iterator[bytes]:
        room = self._max_bytes
        for chunk in self._inner:
            if time.monotonic() > self._deadline:
                raise OutOfTimeError
            if self._cut and len(chunk) >= room:
                yield chunk[:room]
                return
            room -= len(chunk)
            if room < 0:
                raise AnswerTooLongError
            yield chunk

    def close(self) -> None:
        self._inner.close()


class HubSession(httpx2.Client):
    """The session of this process; the type says that it is installed."""

    def __init__(self) -> None:
        super().__init__(
            event_hooks={"request": [_before_request], "response": [_after_response]},
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            mounts=dict.fromkeys(_LOOPBACK),
        )


def install_session() -> None:
    """Make huggingface_hub send through a `HubSession`, tell nobody about it, and log no addresses; once per process.

    Its user agent would otherwise ask huggingface.co for a list of agents, whatever Hub is configured, and addresses of files
    carry signatures after a redirect.
    """
    constants.HF_HUB_DISABLE_TELEMETRY = True
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    if not isinstance(get_session(), HubSession):
        set_client_factory(HubSession)
