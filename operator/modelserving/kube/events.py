"""Events on ModelServings: posted one after the other in the background, never waited for.

A transition is told once. Where events come faster than the API server takes them, the newest are dropped: status says it all anyway.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from modelserving.api.modelserving import API_VERSION, KIND
from modelserving.controller.resources import EVENTS
from modelserving.errors import ClusterError
from modelserving.kube.client import KubeClient
from modelserving.render.names import MANAGER

_LOG = logging.getLogger(__name__)
# Events that wait at most; each is some hundred bytes.
_WAITING = 4096
_BUSY_SECONDS = 0.25
# The API server refuses longer messages: events/v1, noteLengthLimit.
_LONGEST_MESSAGE = 1024


class Events:
    """Where events go.

    Args:
        client: API server.
        identity: name of this replica.
        busy: whether there is more important work; events then wait.
    """

    def __init__(self, client: KubeClient, identity: str, busy: Callable[[], bool]) -> None:
        self._client = client
        self._busy = busy
        self._identity = identity
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING)

    def post(self, serving: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Post an event (`Normal` or `Warning`) on a ModelServing, soon."""
        try:
            self._waiting.put_nowait(self._event(serving["metadata"], kind, reason, message))
        except asyncio.QueueFull:
            _LOG.debug("event %s dropped: too many wait", reason)

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            event = await self._waiting.get()
            while self._busy():
                await asyncio.sleep(_BUSY_SECONDS)
            try:
                await self._client.create(EVENTS, event)
            except ClusterError as error:
                # Namespaces that are being deleted take no events; nothing is lost but words.
                _LOG.debug("event %s could not be posted: %s", event["reason"], error)

    def _event(self, metadata: Mapping[str, Any], kind: str, reason: str, message: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        text = message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
        digest = hashlib.sha256(f"{metadata.get('uid')}{reason}{now}".encode()).hexdigest()[:16]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            # The name of the object, as far as it fits into 253 characters.
            "metadata": {"name": f"{metadata['name'][:236]}.{digest}", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata.get("uid", ""),
            },
            "type": kind,
            "reason": reason,
            "action": reason,
            "message": text,
            "eventTime": now,
            "reportingComponent": MANAGER,
            "reportingInstance": self._identity,
        }
