"""Keeps up with all objects of one kind: a LIST, then a WATCH from there, and again a LIST when the watch lost its place.

For kinds that come by the thousand and of which little is kept: an event costs the decoding of one line. A LIST replaces what is
known in one step, so what was deleted while nobody watched is gone too.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from modelserving.controller.children import version_of
from modelserving.controller.resources import Resource
from modelserving.errors import ClusterError
from modelserving.kube.client import KubeClient

_LOG = logging.getLogger(__name__)
# The API server ends watches after 30 to 60 minutes by itself; new connections spread over its replicas.
WATCH_SECONDS = 600
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# Answers to a watch after which its place is found again by a LIST: the server does not know it, or not any more.
_LOST = (400, 404, 410)

Kept = TypeVar("Kept")


class Reflector(Generic[Kept]):
    """Follows one kind.

    Args:
        client: API server.
        resource: kind.
        keep: what is kept of an object; called once for each object, as it comes.
        replaced: called after a LIST with all that is kept, and the version of the list.
        changed: called with type (`ADDED`, `MODIFIED`, `DELETED`) and what is kept of the object.
        label_selector: which objects.
        field_selector: which objects.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        keep: Callable[[Mapping[str, Any]], Kept],
        replaced: Callable[[list[Kept], int], None],
        changed: Callable[[str, Kept], None],
        label_selector: str = "",
        field_selector: str = "",
    ) -> None:
        self._client = client
        self._resource = resource
        self._keep = keep
        self._replaced = replaced
        self._changed = changed
        self._selectors = (label_selector, field_selector)
        self._version = 0
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled; whatever the API server does, try again."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                pause = FIRST_PAUSE_SECONDS
            except ClusterError as error:
                if error.status in _LOST:
                    self._version = 0
                wait = max(pause * random.uniform(0.75, 1), error.retry_after or 0)
                _LOG.warning("%s: %s; trying again in %.1f s", self._resource.plural, error, wait)
                await asyncio.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _list(self) -> None:
        kept, version = await self._client.listed(self._resource, self._keep, *self._selectors)
        self._replaced(kept, version)
        self._version = version
        self.listed.set()

    async def _watch(self) -> None:
        async for event in self._client.watch(self._resource, self._version, *self._selectors, WATCH_SECONDS):
            kind, item = event.get("type"), event.get("object") or {}
            if kind == "ERROR":
                raise ClusterError(f"watch ended: {item.get('message', item)}", status=410)
            self._version = version_of(item["metadata"])
            if kind in ("ADDED", "MODIFIED", "DELETED"):
                self._changed(kind, self._keep(item))
