"""Brings the Deployment and the Service to what is rendered, and writes only where something differs.

not known        ─▶ ask the API server: is there one of that name? ours by uid: apply; anybody else's: NameConflict
known, ours      ─▶ compare once, remember by fingerprint; apply on difference
known, another's ─▶ NameConflict; its namesake that was deleted and made anew: wait for the garbage collector
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from modelserving.api.reasons import Reason
from modelserving.controller.cache import Cache, Serving
from modelserving.controller.children import Child, child_of
from modelserving.controller.contest import Contests
from modelserving.controller.ports import ClusterClient
from modelserving.controller.resources import CHILDREN, DEPLOYMENTS, MODELSERVINGS, Resource
from modelserving.errors import ConflictError, ForbiddenError, InvalidObjectError, NamespaceEndsError, NotFoundError
from modelserving.planning.plan import Rejection
from modelserving.render.digest import differs
from modelserving.render.names import RENDERED_ANNOTATION, workload_name

_LOG = logging.getLogger(__name__)
# Objects of that name that are none of ours are seen by asking only.
CONFLICT_RETRY_SECONDS = 30.0
# The garbage collector takes a second or two to delete what a deleted resource leaves.
LEFTOVER_RETRY_SECONDS = 1.0
# The resource goes with its namespace, in a while.
NAMESPACE_ENDS_RETRY_SECONDS = 15.0
# Refusals by quota, admission or policy pass when somebody changes those.
REFUSED_RETRY_SECONDS = 60.0
# Paths named in the log of a correction before the rest is only counted.
_PATHS_NAMED = 5
# A list that the API server merges by key has an item too many, or lacks one: its namesake would stay beside ours.
_LIST_CHANGED = re.compile(
    r"\b(containers|initContainers|ports|volumes|imagePullSecrets|env|envFrom|volumeMounts)(\[[^]]*\])?$"
)


@dataclass(frozen=True, slots=True)
class Ensured:
    """What was done.

    Attributes:
        rejection: why the workload is not as it should be; None where it is.
        wrote: whether anything was written.
        retry_seconds: when to look again; None where watching suffices.
        silent: whether nothing is worth telling: it passes in a moment.
        contested: sentence on who keeps changing what is ours; empty where nobody does.
    """

    rejection: Rejection | None = None
    wrote: bool = False
    retry_seconds: float | None = None
    silent: bool = False
    contested: str = ""


class Workload:
    """Writes Deployments and Services.

    Args:
        client: API server.
        cache: what is known.
        busy: whether there is more important work than what is not the first manifest.
        clock: monotonic seconds.
    """

    def __init__(
        self, client: ClusterClient, cache: Cache, busy: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._cache = cache
        self._busy = busy
        self._contests = Contests(clock)
        self._ending: dict[str, float] = {}
        self._asked: dict[tuple[str, str, str], asyncio.Task[Child | None]] = {}

    @contextmanager
    def ask_ahead(self, serving: Serving) -> Iterator[None]:
        """Send the question whether the names of a new resource are free while it is planned for: it saves two milliseconds."""
        namespace, name = _names(serving)
        asked = {}
        if not serving.settled and self._cache.child(DEPLOYMENTS.kind, namespace, name) is None:
            asked = {
                (kind, namespace, name): asyncio.create_task(self._get(resource, namespace, name))
                for kind, resource in CHILDREN.items()
            }
        self._asked |= asked
        try:
            yield
        finally:
            for where, task in asked.items():
                self._asked.pop(where, None)
                task.cancel()
                task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def ensure(self, serving: Serving, manifests: tuple[Mapping[str, Any], ...]) -> Ensured:
        """Bring the cluster to these manifests, in their order."""
        namespace, name = manifests[0]["metadata"]["namespace"], manifests[0]["metadata"]["name"]
        if self._ending.get(namespace, 0.0) > asyncio.get_running_loop().time():
            return Ensured(silent=True, retry_seconds=NAMESPACE_ENDS_RETRY_SECONDS)
        holder = self._cache.claim(namespace, name, serving.key)
        if holder != serving.key:
            return _conflict(f"the ModelServing {holder} wants the name {name} too and has it")
        missing = [CHILDREN[manifest["kind"]] for manifest in manifests if self._known(manifest) is None]
        if missing and serving.settled and not await self._exists(serving):
            self._cache.remove_serving(serving.key, serving.uid)
            return Ensured(silent=True)
        found = await asyncio.gather(*(self._ask(resource, namespace, name) for resource in missing))
        foreign = {child.kind: child for child in found if child is not None}
        for manifest in manifests:
            child = self._known(manifest) or foreign.get(manifest["kind"])
            if child is not None and child.owner_uid != serving.uid:
                return _whose(serving, child)
        wrote = False
        try:
            for manifest in manifests:
                if wrote and self._busy():
                    # Pods take long to come up: the Deployments of others before this one's Service.
                    return Ensured(wrote=True, retry_seconds=0.0)
                wrote |= await self._bring(manifest, foreign.get(manifest["kind"]))
        except NamespaceEndsError:
            self._ending[namespace] = asyncio.get_running_loop().time() + NAMESPACE_ENDS_RETRY_SECONDS
            return Ensured(silent=True, retry_seconds=NAMESPACE_ENDS_RETRY_SECONDS)
        except (ForbiddenError, InvalidObjectError) as error:
            return Ensured(_refused(manifest, error), wrote, REFUSED_RETRY_SECONDS)
        except ConflictError as error:
            return _conflict(f"a {manifest['kind']} of the name {namespace}/{name} appeared just now ({error})")
        except _ContestedError as error:
            return Ensured(wrote=wrote, retry_seconds=error.pause, contested=str(error))
        return Ensured(wrote=wrote)

    async def remove(self, serving: Serving) -> bool:
        """Delete what runs for a resource that shall run nothing; tells whether there was anything."""
        namespace, name = _names(serving)
        removed = False
        for kind, resource in CHILDREN.items():
            child = self._cache.child(kind, namespace, name)
            if child is not None and child.owner_uid == serving.uid and not child.deleting:
                await self._client.delete(resource, namespace, child.name, child.uid)
                self._cache.remove_child(kind, namespace, child.name, child.uid)
                removed = True
        return removed

    def deployment(self, serving: Serving) -> Child | None:
        """The Deployment of a resource, if there is one."""
        child = self._cache.child(DEPLOYMENTS.kind, *_names(serving))
        return child if child is not None and child.owner_uid == serving.uid else None

    async def _exists(self, serving: Serving) -> bool:
        """Whether the resource is still there: a watch that was interrupted may have missed that it went, as its workload did."""
        try:
            found = await self._client.get(MODELSERVINGS, *serving.key.split("/", 1))
        except NotFoundError:
            return False
        return bool(found["metadata"]["uid"] == serving.uid)

    def _known(self, manifest: Mapping[str, Any]) -> Child | None:
        metadata = manifest["metadata"]
        return self._cache.child(manifest["kind"], metadata["namespace"], metadata["name"])

    async def _ask(self, resource: Resource, namespace: str, name: str) -> Child | None:
        asked = self._asked.pop((resource.kind, namespace, name), None)
        return await (asked or self._get(resource, namespace, name))

    async def _get(self, resource: Resource, namespace: str, name: str) -> Child | None:
        try:
            return child_of(await self._client.get(resource, namespace, name), resource)
        except NotFoundError:
            return None

    async def _bring(self, manifest: Mapping[str, Any], found: Child | None) -> bool:
        """Apply one manifest if that changes anything; tells whether it did."""
        child, digest = self._known(manifest), manifest["metadata"]["annotations"][RENDERED_ANNOTATION]
        where = f"{manifest['kind']} {manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
        replaced = False
        if child is not None and child.deleting:
            # Gone in a moment; its end is an event, and then it is made again.
            return False
        if child is not None and child.owned is None and child.settled == digest:
            return False
        if child is not None and child.owned is not None:
            paths = differs(manifest, from_json(child.owned))
            if not paths:
                self._cache.settle_child(child, digest)
                return False
            if child.rendered == digest:
                self._put_back(child, paths)
            replaced = any(map(_LIST_CHANGED.search, paths))
            if replaced:
                await self._client.replace_lists(manifest)
            named = ", ".join(paths[:_PATHS_NAMED]) + (f" and {n} more" if (n := len(paths) - _PATHS_NAMED) > 0 else "")
            _LOG.info("%s: applying, since these differ: %s", where, named)
        else:
            _LOG.info("%s: %s", where, "applying what is rendered anew" if child is not None else "creating")
        # Where none was known, nothing of anybody else's may be taken over.
        force = child is not None or found is not None
        applied = await self._client.apply(manifest, force)
        if replaced:
            applied = await self._client.forget_updates(applied, CHILDREN[manifest["kind"]])
        live = child_of(applied, CHILDREN[manifest["kind"]])
        self._cache.put_child(live)
        # What the server made of it is what it makes of it every time: comparing again would write for ever.
        self._cache.settle_child(live, digest)
        return True

    def _put_back(self, child: Child, paths: list[str]) -> None:
        """Count a correction of what somebody else changed.

        Raises:
            _ContestedError: the same was put back too often just now.
        """
        pause = self._contests.pause(child.where)
        if pause > 0:
            who = child.manager or "Somebody"
            raise _ContestedError(
                f"{who} keeps changing {', '.join(paths[:_PATHS_NAMED])} of the {child.kind} {child.name}, which is the "
                "operator's: it puts that back more and more rarely. Let one of the two have it.",
                pause,
            )
        self._contests.corrected(child.where, paths)


class _ContestedError(Exception):
    """Another writer keeps changing an object; it is left alone for `pause` seconds."""

    def __init__(self, message: str, pause: float) -> None:
        super().__init__(message)
        self.pause = pause


def _names(serving: Serving) -> tuple[str, str]:
    """Namespace and name of what is made for a resource."""
    namespace, name = serving.key.split("/", 1)
    return namespace, workload_name(name)


def _whose(serving: Serving, child: Child) -> Ensured:
    if child.owner == serving.key:
        return Ensured(silent=True, retry_seconds=LEFTOVER_RETRY_SECONDS)
    what = f"{child.kind} {child.namespace}/{child.name}"
    if child.owner:
        return _conflict(f"{what} belongs to the ModelServing {child.owner}")
    return _conflict(f"{what} exists and is not this resource's")


def _conflict(whose: str) -> Ensured:
    message = f"Nothing was made: {whose}. Delete or rename one of them; nothing is taken over or overwritten."
    return Ensured(Rejection(Reason.NAME_CONFLICT, message), retry_seconds=CONFLICT_RETRY_SECONDS)


def _refused(manifest: Mapping[str, Any], error: Exception) -> Rejection:
    return Rejection(Reason.APPLY_REFUSED, f"The API server refused the {manifest['kind']}: {error}")
