"""Facts of checkpoints from a Hub or a mirror: metadata only, weights never.

One checkpoint costs one request for its commit and its list of files, one for config.json, and one or two for the header of
each safetensors file. All of it runs in threads of its own, under one deadline.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from huggingface_hub import HfApi, ModelInfo, constants, get_session, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # public; the library marks no re-export
    build_hf_headers,
    hf_raise_for_status,
)

from modelserving import __version__
from modelserving.hub import files
from modelserving.hub.failures import (
    Refusal,
    failure_of,
    invalid_answer,
    may_pass,
    retry_after_seconds,
    shown_endpoint,
    unreachable,
)
from modelserving.hub.names import is_commit, name_failure
from modelserving.hub.session import Allowance, bounded, install_session
from modelserving.hub.strict import StrictJSONError, read_object
from modelserving.models.headers import fold
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata, Origin, TensorGroup
from modelserving.units import MIB

# The longest real ones: model cards with evaluation tables of some 100 KiB, configs of quantized mixtures of experts of some
# 200 KiB, the index of DeepSeek-V3 of 9 MiB; huggingface_hub refuses headers above 25 MB.
_MAX_ANSWER_BYTES = 16 * MIB
_MAX_CONFIG_BYTES = 4 * MIB
_MAX_INDEX_BYTES = 64 * MIB
_MAX_HEADER_BYTES = constants.SAFETENSORS_MAX_HEADER_LENGTH
# Checkpoints read at once. Each is a thread that mostly waits, and models that a Hub is slow for must not keep others waiting.
_CHECKPOINTS_AT_ONCE = 64
_HEADERS_AT_ONCE = 4
_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.5
# Time a thread may take past its deadline before it is given up: name resolution knows no time-out.
_GRACE_SECONDS = 2.0
# No tensor has a longer side; above it a product of sides says nothing.
_LONGEST_SIDE = 2**48

# What huggingface_hub raises when it takes an answer for what it should have been.
_MISFITS = (TypeError, KeyError, AttributeError, ValueError, RecursionError)

_Answer = TypeVar("_Answer")
_Header = tuple[str, str, tuple[int, ...]]


class HubClient:
    """A client of one Hub.

    Args:
        endpoint: address of the Hub or a mirror; empty means huggingface_hub's own default.
        timeout_seconds: longest the metadata of one checkpoint may take.
        request_timeout_seconds: longest one request may take.
        jitter: draws the share of a pause that is waited, in [0, 1).
    """

    def __init__(
        self,
        endpoint: str = "",
        timeout_seconds: float = 30.0,
        request_timeout_seconds: float = 10.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._request_timeout_seconds = request_timeout_seconds
        self._jitter = jitter
        self._pool = ThreadPoolExecutor(_CHECKPOINTS_AT_ONCE, thread_name_prefix="hub")
        self._turn = asyncio.Semaphore(_CHECKPOINTS_AT_ONCE)
        install_session()

    async def fetch(self, ref: CheckpointRef, token: str | None = None) -> ModelMetadata | MetadataFailure:
        """Read the metadata of one checkpoint; never raises for anything a Hub or a network does."""
        token = (token or "").strip() or None
        failure = name_failure(ref) or _token_failure(token)
        if failure is not None:
            return failure
        async with self._turn:
            reading = asyncio.get_running_loop().run_in_executor(self._pool, self._read, ref, token)
            try:
                return await asyncio.wait_for(reading, self._timeout_seconds + _GRACE_SECONDS)
            except TimeoutError:
                return unreachable(self.endpoint, f"did not answer within {self._timeout_seconds:g} s")

    def close(self) -> None:
        """Take no more work; threads that still wait end with their deadline."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, ref: CheckpointRef, token: str | None) -> ModelMetadata | MetadataFailure:
        deadline = time.monotonic() + self._timeout_seconds
        reading = _Reading(self.endpoint, ref, token, deadline, self._request_timeout_seconds, self._jitter)
        try:
            return reading.metadata()
        except Refusal as refusal:
            return refusal.failure


def _token_failure(token: str | None) -> MetadataFailure | None:
    if token is None or (token.isascii() and token.isprintable() and " " not in token):
        return None
    return MetadataFailure(
        "AccessDenied",
        "the Secret named in spec.huggingFace.tokenSecretRef holds no token: a token is one word of ASCII characters",
        retryable=False,
    )


class _Reading:
    """The reading of one checkpoint, in a thread."""

    def __init__(
        self,
        endpoint: str,
        ref: CheckpointRef,
        token: str | None,
        deadline: float,
        request_seconds: float,
        jitter: Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._ref = ref
        self._token = token
        self._deadline = deadline
        self._request_seconds = request_seconds
        self._jitter = jitter
        # `False`, not `None`: a token found on this machine is nobody's in particular.
        self._api = HfApi(
            endpoint=endpoint,
            token=token or False,
            library_name="modelserving-operator",
            library_version=__version__,
        )
        self._commit = ""

    def metadata(self) -> ModelMetadata:
        """Read everything.

        Raises:
            Refusal: something could not be had.
        """
        info = self._info()
        names = self._names(info)
        config = self._object(files.CONFIG, names)
        quantization = {name: self._object(name, names) for name in files.QUANTIZATION_CONFIGS if name in names}
        return ModelMetadata(
            model=self._ref.model,
            revision=self._commit,
            origin=Origin.HUB,
            config=config,
            tensors=self._tensors(names),
            parameter_totals=_totals(info),
            quantization_files=quantization,
            restricted=bool(info.private or info.gated),
        )

    def _info(self) -> ModelInfo:
        what = f"the description of {self._ref.model}"
        info = self._ask(
            lambda: self._api.model_info(self._ref.model, revision=self._ref.revision), _MAX_ANSWER_BYTES, what
        )
        if not isinstance(info.sha, str) or not is_commit(info.sha):
            raise Refusal(invalid_answer(self._endpoint, what, "names no commit"))
        self._commit = info.sha
        return info

    def _names(self, info: ModelInfo) -> frozenset[str]:
        names = frozenset(sibling.rfilename for sibling in info.siblings or () if isinstance(sibling.rfilename, str))
        if files.CONFIG in names:
            return names
        where = f"{self._ref.model} at {shown_endpoint(self._endpoint)} has no {files.CONFIG}"
        if files.ADAPTER_CONFIG in names:
            advice = "it is a LoRA adapter; name the model it was trained on in spec.model"
        else:
            advice = "name a checkpoint in the Transformers layout in spec.model"
        raise Refusal(MetadataFailure("MetadataInvalid", f"{where}: {advice}", retryable=False))

    def _object(self, name: str, names: frozenset[str], limit: int = _MAX_CONFIG_BYTES) -> Mapping[str, Any]:
        """Read a JSON object from the commit."""
        what = f"{name} of {self._ref.model}"
        content = self._ask(lambda: self._content(name), limit, what)
        try:
            return read_object(content)
        except StrictJSONError as error:
            # A page instead of the file may be gone later; a file that is broken at a commit stays broken.
            raise Refusal(invalid_answer(self._endpoint, what, str(error), retryable="HTML" in str(error))) from error

    def _content(self, name: str) -> bytes:
        url = hf_hub_url(self._ref.model, name, revision=self._commit, endpoint=self._endpoint)
        headers = build_hf_headers(
            token=self._api.token, library_name=self._api.library_name, library_version=self._api.library_version
        )
        response = get_session().get(url, headers=headers)
        hf_raise_for_status(response)
        return response.content

    def _tensors(self, names: frozenset[str]) -> tuple[TensorGroup, ...]:
        weights = files.weight_candidates(names)
        if not files.is_one_series(weights) and files.INDEX in names:
            weight_map = self._object(files.INDEX, names, _MAX_INDEX_BYTES).get("weight_map")
            if isinstance(weight_map, dict):
                weights = files.listed_in_index(
                    weights, (name for name in weight_map.values() if isinstance(name, str))
                )
        return fold(self._headers(weights)) if weights else ()

    def _headers(self, weights: tuple[str, ...]) -> Iterator[_Header]:
        """Headers of all files, a few at a time, so that memory does not grow with their number."""
        with ThreadPoolExecutor(_HEADERS_AT_ONCE, thread_name_prefix="hub-header") as pool:
            for first in range(0, len(weights), _HEADERS_AT_ONCE):
                batch = weights[first : first + _HEADERS_AT_ONCE]
                for header in pool.map(self._header, batch):
                    yield from header

    def _header(self, name: str) -> list[_Header]:
        what = f"the header of {name} of {self._ref.model}"
        parsed = self._ask(
            lambda: self._api.parse_safetensors_file_metadata(self._ref.model, name, revision=self._commit),
            _MAX_HEADER_BYTES,
            what,
        )
        tensors = [(tensor, info.dtype, info.shape) for tensor, info in parsed.tensors.items()]
        if not all(_is_tensor(dtype, shape) for _, dtype, shape in tensors):
            raise Refusal(
                invalid_answer(self._endpoint, what, "has a tensor without a sensible shape", retryable=False)
            )
        return [(tensor, dtype, tuple(shape)) for tensor, dtype, shape in tensors]

    def _ask(self, request: Callable[[], _Answer], max_bytes: int, what: str) -> _Answer:
        """Send a request, again after a pause where that may help, until the deadline.

        Raises:
            Refusal: no usable answer came.
        """
        allowance = Allowance(self._deadline, self._request_seconds, max_bytes)
        for attempt in range(_ATTEMPTS):
            try:
                with bounded(allowance):
                    return request()
            except Exception as error:
                if isinstance(error, _MISFITS) and not isinstance(error, HfHubHTTPError):
                    raise Refusal(invalid_answer(self._endpoint, what, _misfit(error))) from error
                pause = max(_FIRST_PAUSE_SECONDS * 2**attempt * (1 + self._jitter()), retry_after_seconds(error))
                if not may_pass(error) or attempt + 1 == _ATTEMPTS or pause >= allowance.remaining():
                    failure = failure_of(error, self._ref, self._endpoint, self._token is not None, what)
                    raise Refusal(failure) from error
            time.sleep(pause)
        raise AssertionError("every attempt returns, raises or pauses")


def _misfit(error: Exception) -> str:
    html = isinstance(error, json.JSONDecodeError) and error.doc.lstrip()[:1] == "<"
    return "is HTML, not JSON" if html else "is not what a Hub answers"


def _is_tensor(dtype: object, shape: object) -> bool:
    return (
        isinstance(dtype, str)
        and isinstance(shape, list)
        and all(type(side) is int and 0 <= side <= _LONGEST_SIDE for side in shape)
    )


def _totals(info: ModelInfo) -> dict[str, int]:
    """Parameters by dtype as the Hub counted them; empty where it did not, or where the counts are none."""
    counts: object = info.safetensors.parameters if info.safetensors is not None else {}
    if not isinstance(counts, dict):
        return {}
    sound = all(isinstance(dtype, str) and type(count) is int and count >= 0 for dtype, count in counts.items())
    return dict(counts) if sound else {}
