"""A Hub on loopback: the endpoints of huggingface.co that the operator asks, over real HTTP, with faults on demand.

huggingface.co itself cannot be reached from the tests; its statuses and error headers are as huggingface_hub 2.4 reads them
(utils/_http.py, hf_raise_for_status).
"""

import asyncio
import ctypes
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import safetensors
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
_WIDTHS = {"bfloat16": 2, "float16": 2, "float32": 4, "int32": 4}


def safetensors_file(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> bytes:
    """A real safetensors file of zeros: name -> (dtype as torch names it, shape)."""
    sizes = {name: _WIDTHS[dtype] * _product(shape) for name, (dtype, shape) in tensors.items()}
    zeros = ctypes.create_string_buffer(max(sizes.values()) or 1)
    specs = {
        name: safetensors.TensorSpec(
            dtype=dtype, shape=list(shape), data_ptr=ctypes.addressof(zeros), data_len=sizes[name]
        )
        for name, (dtype, shape) in tensors.items()
    }
    return safetensors.serialize(specs, {"format": "pt"})


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product


@dataclass
class Seen:
    """A request that came, and when, on the loop's clock."""

    path: str
    headers: Mapping[str, str]
    at: float


@dataclass
class Repository:
    """A model on the Hub."""

    files: dict[str, bytes]
    commit: str
    totals: dict[str, int] | None = None
    gated_for: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


class LoopbackHub:
    """The Hub: repositories, faults by path, and what was asked."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.repositories: dict[str, Repository] = {}
        self.faults: dict[str, list[Answer]] = {}
        self.seen: list[Seen] = []
        self.body_bytes = 0
        self.ignores_ranges = False
        self.closing = asyncio.Event()

    def add(
        self, model: str, config: Any = None, files: Mapping[str, bytes] | None = None, **fields: Any
    ) -> Repository:
        """Publish a model; its commit follows from its name."""
        content = dict(files or {})
        if config is not None:
            content["config.json"] = config if isinstance(config, bytes) else json.dumps(config).encode()
        repository = Repository(content, hashlib.sha1(model.encode()).hexdigest(), **fields)
        self.repositories[model] = repository
        return repository

    def fail(self, path_end: str, *answers: Answer) -> None:
        """Answer paths with this end so, one after the other, the last one for ever."""
        self.faults[path_end] = list(answers)

    def asked(self, path_end: str) -> list[Seen]:
        """Requests for paths with this end."""
        return [seen for seen in self.seen if seen.path.endswith(path_end)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = unquote(request.path)
        self.seen.append(Seen(path, dict(request.headers), asyncio.get_running_loop().time()))
        for path_end, answers in self.faults.items():
            if path.endswith(path_end):
                return await (answers.pop(0) if len(answers) > 1 else answers[0])(request)
        if path.startswith("/api/models/"):
            return self._describe(path.removeprefix("/api/models/"))
        return self._resolve(request, path)

    def _describe(self, path: str) -> web.StreamResponse:
        model, _, revision = path.partition("/revision/")
        repository = self.repositories.get(model)
        if repository is None:
            return refuse(404, "RepoNotFound")
        if revision not in ("main", repository.commit):
            return refuse(404, "RevisionNotFound")
        description = {
            "id": model,
            "sha": repository.commit,
            "private": False,
            "gated": "manual" if repository.gated_for else False,
            "siblings": [{"rfilename": name} for name in repository.files],
            **repository.extra,
        }
        if repository.totals is not None:
            description["safetensors"] = {"parameters": repository.totals, "total": sum(repository.totals.values())}
        return web.json_response(description)

    def _resolve(self, request: web.Request, path: str) -> web.StreamResponse:
        model, _, rest = path.removeprefix("/").partition("/resolve/")
        commit, _, name = rest.partition("/")
        repository = self.repositories[model]
        if repository.gated_for and request.headers.get("Authorization") != f"Bearer {repository.gated_for}":
            return refuse(403 if "Authorization" in request.headers else 401, "GatedRepo")
        if commit != repository.commit or name not in repository.files:
            return refuse(404, "EntryNotFound")
        return self._content(request, repository.files[name])

    def _content(self, request: web.Request, content: bytes) -> web.StreamResponse:
        asked = request.http_range
        if "Range" not in request.headers or self.ignores_ranges:
            self.body_bytes += len(content)
            return web.Response(body=content)
        part = content[asked.start : asked.stop]
        self.body_bytes += len(part)
        span = f"bytes {asked.start}-{(asked.start or 0) + len(part) - 1}/{len(content)}"
        return web.Response(status=206, body=part, headers={"Content-Range": span})


def refuse(status: int, code: str = "", headers: Mapping[str, str] | None = None) -> web.Response:
    """An error as the Hub words it."""
    return web.Response(status=status, headers={**(headers or {}), **({"X-Error-Code": code} if code else {})})


def refusal(status: int, code: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """The same error whatever is asked."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return refuse(status, code, headers)

    return answer


def always(
    status: int = 200,
    body: bytes = b"",
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """The same answer whatever is asked."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type=content_type, headers=headers)

    return answer


@asynccontextmanager
async def running_hub() -> AsyncIterator[LoopbackHub]:
    """Start a Hub on a free loopback port and stop it at the end, whoever still waits for an answer."""
    hub = LoopbackHub()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hub.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    hub.endpoint = f"http://{host}:{port}"
    try:
        yield hub
    finally:
        hub.closing.set()
        await runner.cleanup()
