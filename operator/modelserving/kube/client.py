"""Five verbs on the API server, in plain JSON.

The kubernetes package brings configuration, credentials and the connection pool; its models would cost three times the CPU of the
rest (0.6 ms a call, measured) and refuse fields that a newer API server has.
"""

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client.rest import RESTClientObject

from modelserving import __version__
from modelserving.controller.children import version_of
from modelserving.controller.resources import CHILDREN, CONFIGMAPS, Resource
from modelserving.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    InvalidObjectError,
    NamespaceEndsError,
    NotFoundError,
)
from modelserving.kube.connection import Connection
from modelserving.kube.depth import read_json
from modelserving.render.digest import OWNED_LISTS
from modelserving.render.names import MANAGER

USER_AGENT = f"modelserving-operator/{__version__}"
# No request but a watch takes longer on a server that is well; the longest seen here, under load, was 3 s.
REQUEST_SECONDS = 30.0
CONNECT_SECONDS = 10.0
# Objects in one page of a LIST: a page of Deployments is some megabytes as Python objects.
PAGE = 100
_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
# By default the server parses what it is sent a second time, to warn of fields it does not know: a tenth of the time it takes for a
# Deployment (measured). Nobody reads the warning, and the contract tests refuse manifests with such fields.
_WRITE: Mapping[str, str] = {"fieldManager": MANAGER, "fieldValidation": "Ignore"}
_ERRORS: Mapping[int, type[ClusterError]] = {
    400: InvalidObjectError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    413: InvalidObjectError,
    422: InvalidObjectError,
}
# Cause of the refusal of whatever is made in a namespace that is being deleted: k8s.io/api/core/v1, NamespaceTerminatingCause.
_TERMINATING = "NamespaceTerminating"
Kept = TypeVar("Kept")
_APPLIED = {**CHILDREN, CONFIGMAPS.kind: CONFIGMAPS}


class KubeClient:
    """The API server.

    Args:
        connection: how to reach it.
        counted: called with verb, plural and HTTP status (0: no answer) of each request.
    """

    def __init__(self, connection: Connection, counted: Callable[[str, str, int], None] = lambda *_: None) -> None:
        self._connection = connection
        self._counted = counted
        self._rest = RESTClientObject(connection.configuration)

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def apply(self, manifest: Mapping[str, Any], force: bool = True) -> dict[str, Any]:
        """Server-side apply as our one field manager; without force a field of another manager raises `ConflictError`."""
        resource, metadata = _APPLIED[manifest["kind"]], manifest["metadata"]
        query = {**_WRITE, "force": "true" if force else "false"}
        path = resource.path(metadata["namespace"], metadata["name"])
        return await self._call("patch", resource, path, manifest, _APPLY, query)

    async def replace_lists(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the lists of an object's spec by the manifest's as a whole: what somebody added to them goes."""
        resource, metadata = _APPLIED[manifest["kind"]], manifest["metadata"]
        path = resource.path(metadata["namespace"], metadata["name"])
        spec = manifest["spec"]
        if "template" in spec:
            # A list that is not rendered at all goes too.
            pod = {**dict.fromkeys(OWNED_LISTS), **spec["template"]["spec"]}
            spec = {**spec, "template": {**spec["template"], "spec": pod}}
        return await self._call("patch", resource, path, {"spec": spec}, _MERGE_PATCH, _WRITE)

    async def forget_updates(self, live: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
        """Take what `replace_lists` wrote out of the managed fields: as ours by update it would outlive what is applied."""
        metadata = live["metadata"]
        entries = metadata.get("managedFields") or []
        kept = [
            entry
            for entry in entries
            if (entry.get("manager"), entry.get("operation"), entry.get("subresource", "")) != (MANAGER, "Update", "")
        ]
        if kept == entries:
            return dict(live)
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": kept},
        ]
        path = resource.path(metadata["namespace"], metadata["name"])
        return await self._call("patch", resource, path, patch, _JSON_PATCH, _WRITE)

    async def put_status(
        self, resource: Resource, manifest: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Replace the status; `InvalidObjectError` if the object of that name has another uid by now."""
        metadata = manifest["metadata"]
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "add", "path": "/status", "value": status},
        ]
        path = resource.path(metadata["namespace"], metadata["name"], "status")
        return await self._call("patch", resource, path, patch, _JSON_PATCH, _WRITE)

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """Read one object."""
        return await self._call("get", resource, resource.path(namespace, name))

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object; `ConflictError` if there is one of that name."""
        path = resource.path(manifest["metadata"]["namespace"])
        return await self._call("create", resource, path, manifest, query=_WRITE)

    async def replace(self, resource: Resource, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object; `ConflictError` if it changed since its resourceVersion."""
        path = resource.path(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        return await self._call("update", resource, path, manifest, query=_WRITE)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete one object if it still is the one with this uid."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self._call("delete", resource, resource.path(namespace, name), options)
        except (NotFoundError, ConflictError):
            return

    async def serves(self, resource: Resource) -> bool:
        """Whether the API server has a kind at all, in this version."""
        try:
            await self._call("list", resource, resource.path(), query={"limit": "1"})
        except NotFoundError:
            return False
        return True

    async def listed(
        self,
        resource: Resource,
        keep: Callable[[Mapping[str, Any]], Kept],
        label_selector: str = "",
        field_selector: str = "",
        namespace: str = "",
    ) -> tuple[list[Kept], int]:
        """Read all objects of a kind, in the cluster or a namespace, page by page, as one consistent list of one version."""
        kept: list[Kept] = []
        query = _selected({"limit": str(PAGE)}, label_selector, field_selector)
        while True:
            page = await self._call("list", resource, resource.path(namespace), query=query)
            kept += [keep(item) for item in page.get("items") or ()]
            token = page["metadata"].get("continue")
            if not token:
                return kept, version_of(page["metadata"])
            query = {**query, "continue": token}

    async def watch(
        self, resource: Resource, version: int, label_selector: str, field_selector: str, seconds: int
    ) -> AsyncIterator[dict[str, Any]]:
        """Read what changes from a resourceVersion on, until the server ends the stream after `seconds`.

        Bookmarks come about once a minute: a stream that is silent for longer than two is dead, and raises `ClusterError`.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": str(version)}
        query = _selected({**query, "timeoutSeconds": str(seconds)}, label_selector, field_selector)
        timeout = aiohttp.ClientTimeout(total=seconds + CONNECT_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=130)
        try:
            response = await self._send("watch", resource, resource.path(), None, "", query, timeout)
            async with response:
                await self._raise_for(response, "watch", resource, resource.path())
                async for line in response.content:
                    yield read_json(line)
        except (aiohttp.ClientError, ssl.SSLError, OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"watch of {resource.plural} broke: {_words(error)}") from error

    async def _call(
        self,
        verb: str,
        resource: Resource,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            response = await self._send(verb, resource, path, body, content_type, query or {}, timeout)
            async with response:
                await self._raise_for(response, verb, resource, path)
                answer: dict[str, Any] = read_json(await response.read())
                return answer
        except (aiohttp.ClientError, ssl.SSLError, OSError, TimeoutError, ValueError) as error:
            self._counted(verb, resource.plural, 0)
            raise ClusterError(f"{verb} {path}: the API server did not answer: {_words(error)}") from error

    async def _send(
        self,
        verb: str,
        resource: Resource,
        path: str,
        body: Any,
        content_type: str,
        query: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        method = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}.get(verb, "GET")
        url = f"{self._connection.configuration.host}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        for attempt in (1, 2):
            headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
            if content_type:
                headers["Content-Type"] = content_type
            if (authorization := await self._connection.authorization()) is not None:
                headers["Authorization"] = authorization
            answer = await self._rest.request(method, url, headers=headers, body=body, _request_timeout=timeout)
            response: aiohttp.ClientResponse = answer.response
            self._counted(verb, resource.plural, response.status)
            if response.status != 401 or attempt == 2:
                return response
            # The token rotated, and the one in memory is no longer good.
            response.release()
            await self._connection.renew()
        raise AssertionError("both attempts return")

    async def _raise_for(self, response: aiohttp.ClientResponse, verb: str, resource: Resource, path: str) -> None:
        if response.status < 400:
            return
        message, causes = _said(await response.text(errors="replace"))
        wait = response.headers.get("Retry-After", "")
        kind = NamespaceEndsError if _TERMINATING in causes else _ERRORS.get(response.status, ClusterError)
        raise kind(message or f"{verb} {path}: HTTP {response.status}", response.status, _seconds(wait))


def _said(text: str) -> tuple[str, set[str]]:
    """Message of a Status object, and the reasons of its causes."""
    try:
        status = json.loads(text)
        causes = (status.get("details") or {}).get("causes") or []
        return str(status.get("message", "")), {str(cause.get("reason")) for cause in causes}
    except (ValueError, AttributeError, TypeError):
        return "", set()


def _seconds(header: str) -> float | None:
    return float(header) if header.isdecimal() else None


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _selected(query: dict[str, str], label_selector: str, field_selector: str) -> dict[str, str]:
    selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {**query, **{name: text for name, text in selectors.items() if text}}
