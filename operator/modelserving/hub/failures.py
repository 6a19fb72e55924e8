"""What went wrong with a Hub, as a value a user can act on. No token and no address with a signature ever gets into one."""

from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    SafetensorsParsingError,
)

from modelserving.hub.names import shorten
from modelserving.hub.session import AnswerEncodedError, AnswerTooLongError, OutOfTimeError, RangeIgnoredError
from modelserving.hub.strict import StrictJSONError
from modelserving.models.metadata import CheckpointRef, MetadataFailure

_SECRET = "spec.huggingFace.tokenSecretRef"
TRY_AGAIN_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed later (RFC 9110, RFC 6585, RFC 8470)."""


class Refusal(Exception):
    """Carries a failure out of nested calls, inside this package only."""

    def __init__(self, failure: MetadataFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def shown_endpoint(endpoint: str) -> str:
    """An endpoint for a message: without user name, password, query."""
    parts = urlsplit(endpoint)
    host = parts.hostname or endpoint.partition("@")[2] or "?"
    return f"{parts.scheme or 'https'}://{host}" + (f":{parts.port}" if parts.port else "") + parts.path.rstrip("/")


def unreachable(endpoint: str, why: str) -> MetadataFailure:
    """The Hub gave no answer; the message names no model, so it serves for all of them."""
    return MetadataFailure("HubUnreachable", f"the Hub at {shown_endpoint(endpoint)} {why}", retryable=True)


def invalid_answer(endpoint: str, what: str, why: str, retryable: bool = True) -> MetadataFailure:
    """The Hub answered what it should not."""
    message = f"{what} from {shown_endpoint(endpoint)} {why}"
    advice = "; is this address a Hub, and not a proxy's page?" if "HTML" in why else ""
    return MetadataFailure("HubAnswerInvalid", message + advice, retryable)


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed within seconds."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in TRY_AGAIN_STATUS
    return isinstance(error, httpx2.TimeoutException | httpx2.NetworkError | httpx2.RemoteProtocolError)


def retry_after_seconds(error: Exception) -> float:
    """Seconds that the Hub asked to wait; 0 where it did not. A date counts as no answer: clocks differ."""
    if not isinstance(error, HfHubHTTPError):
        return 0.0
    written = error.response.headers.get("retry-after", "").strip()
    return float(written) if written.isdecimal() and len(written) < len("1000000") else 0.0


def failure_of(error: Exception, ref: CheckpointRef, endpoint: str, has_token: bool, what: str) -> MetadataFailure:
    """What an exception of a request means.

    Args:
        error: what was raised.
        ref: checkpoint that was asked for.
        endpoint: the Hub.
        has_token: whether the request carried a token.
        what: what was being read, for the message.

    Raises:
        Exception: `error` itself, where it is none of the ways in which a request fails.
    """
    if isinstance(error, HfHubHTTPError):
        return _status_failure(error, ref, endpoint, has_token, what)
    transport = _transport_failure(error, endpoint)
    if transport is not None:
        return transport
    if isinstance(error, AnswerTooLongError):
        return invalid_answer(endpoint, what, "is longer than such a file can be")
    if isinstance(error, RangeIgnoredError):
        return invalid_answer(
            endpoint, what, "came whole where a part was asked for: the server ignores range requests"
        )
    if isinstance(error, AnswerEncodedError):
        return invalid_answer(endpoint, what, "came compressed although that was not asked for")
    if isinstance(error, httpx2.TooManyRedirects):
        return invalid_answer(endpoint, what, "redirects in a circle")
    if isinstance(error, httpx2.HTTPError | httpx2.InvalidURL):
        return invalid_answer(endpoint, what, f"broke the HTTP protocol ({type(error).__name__})")
    if isinstance(error, SafetensorsParsingError):
        return invalid_answer(endpoint, what, "is no safetensors header", retryable=False)
    if isinstance(error, StrictJSONError):
        return invalid_answer(endpoint, what, str(error))
    raise error


def _transport_failure(error: Exception, endpoint: str) -> MetadataFailure | None:
    if isinstance(error, OfflineModeIsEnabled):
        return unreachable(endpoint, "is not asked: HF_HUB_OFFLINE is set in the operator's environment")
    if isinstance(error, OutOfTimeError | httpx2.TimeoutException):
        return unreachable(endpoint, "did not answer in time")
    if isinstance(error, httpx2.ConnectError):
        return unreachable(endpoint, "could not be reached: no connection")
    if isinstance(error, httpx2.ProxyError):
        return unreachable(endpoint, "could not be reached: the proxy refused")
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return unreachable(endpoint, "broke off its answer")
    return None


def _status_failure(
    error: HfHubHTTPError, ref: CheckpointRef, endpoint: str, has_token: bool, what: str
) -> MetadataFailure:
    status = error.response.status_code
    where = shown_endpoint(endpoint)
    if status in TRY_AGAIN_STATUS:
        asked = retry_after_seconds(error)
        wait = f" and asks to wait {asked:.0f} s" if asked else ""
        return unreachable(endpoint, f"answers with status {status}{wait}")
    if isinstance(error, DisabledRepoError):
        return MetadataFailure(
            "AccessDenied", f"{where} has disabled {ref.model}; choose another model", retryable=False
        )
    if isinstance(error, RevisionNotFoundError):
        return MetadataFailure(
            "RevisionNotFound", f"{ref.model} has no revision {shorten(ref.revision)} at {where}", retryable=False
        )
    if isinstance(error, GatedRepoError) or status == httpx2.codes.FORBIDDEN:
        return _access_denied(ref, where, has_token)
    if isinstance(error, EntryNotFoundError):
        return MetadataFailure("HubAnswerInvalid", f"{what} was listed by {where} and then not found", retryable=True)
    if isinstance(error, RepositoryNotFoundError) or status == httpx2.codes.NOT_FOUND:
        private = f"if it is private, name a Secret with a token that may read it in {_SECRET}"
        if has_token:
            private = f"if it is private, the token in {_SECRET} may not read it"
        return MetadataFailure(
            "ModelNotFound", f"{where} has no model {ref.model}: check the name; {private}", retryable=False
        )
    if status == httpx2.codes.UNAUTHORIZED:
        return _access_denied(ref, where, has_token)
    return invalid_answer(endpoint, what, f"came with status {status}")


def _access_denied(ref: CheckpointRef, where: str, has_token: bool) -> MetadataFailure:
    advice = f"accept its conditions at {where}/{ref.model} and name a Secret with a token in {_SECRET}"
    if has_token:
        advice = (
            f"the token in {_SECRET} may not read it: accept its conditions at {where}/{ref.model} with the token's account, "
            "or put a valid token there"
        )
    return MetadataFailure("AccessDenied", f"{where} keeps {ref.model} to itself; {advice}", retryable=False)
