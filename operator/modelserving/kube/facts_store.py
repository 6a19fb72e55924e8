"""Metadata of checkpoints in ConfigMaps of the operator's namespace, so that a restart asks the Hub nothing."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelserving.controller.resources import CONFIGMAPS
from modelserving.errors import NotFoundError
from modelserving.hub.cache import CachedMetadata, decode, encode
from modelserving.kube.client import KubeClient
from modelserving.models.metadata import CheckpointRef
from modelserving.render.names import MANAGED_BY_LABEL, MANAGER
from modelserving.units import KIB

_LOG = logging.getLogger(__name__)
# A ConfigMap holds 1 MiB at most, its own fields included.
LARGEST_ENTRY_BYTES = 900 * KIB
_KEY = "metadata"
_LABELS = {MANAGED_BY_LABEL: MANAGER, "app.kubernetes.io/component": "model-facts"}
_SELECTOR = ",".join(f"{name}={value}" for name, value in _LABELS.items())
_MODEL, _REVISION = "modelserving.dev/model", "modelserving.dev/revision"
# Facts that no resource names are kept this long: a resource that is deleted and made again asks no Hub.
UNUSED_SECONDS = 24 * 3600.0


class FactsStore:
    """Where entries outlive the process: `hub.cache.MetadataStore`.

    Args:
        client: API server.
        namespace: the operator's own.
    """

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def get(self, ref: CheckpointRef) -> CachedMetadata | None:
        """The entry for a reference exactly as asked, if there is one that can be read."""
        try:
            found = await self._client.get(CONFIGMAPS, self._namespace, config_map_name(ref))
        except NotFoundError:
            return None
        text = (found.get("data") or {}).get(_KEY)
        return decode(text) if isinstance(text, str) else None

    async def put(self, ref: CheckpointRef, entry: CachedMetadata) -> None:
        """Keep an entry, in place of the one before; one that is too large is left out."""
        text = encode(entry)
        if len(text) > LARGEST_ENTRY_BYTES:
            _LOG.warning("facts of %s take %d bytes, too many for a ConfigMap: not kept", ref.model, len(text))
            return
        await self._client.apply(
            {
                "apiVersion": CONFIGMAPS.api_version,
                "kind": CONFIGMAPS.kind,
                "metadata": {
                    "name": config_map_name(ref),
                    "namespace": self._namespace,
                    "labels": _LABELS,
                    "annotations": {_MODEL: ref.model, _REVISION: ref.revision},
                },
                "data": {_KEY: text},
            }
        )

    async def drop_unused(self, used: frozenset[CheckpointRef]) -> int:
        """Delete entries of checkpoints that are not used and were made more than `UNUSED_SECONDS` ago."""
        found, _ = await self._client.listed(CONFIGMAPS, _entry, _SELECTOR, namespace=self._namespace)
        now = datetime.now(UTC)
        unused = [entry for entry in found if entry.ref not in used and entry.age_seconds(now) > UNUSED_SECONDS]
        for entry in unused:
            await self._client.delete(CONFIGMAPS, self._namespace, entry.name, entry.uid)
            _LOG.info("facts of %s at %s: dropped, since no resource names them", entry.ref.model, entry.ref.revision)
        return len(unused)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A ConfigMap with facts: which object, of which checkpoint, since when."""

    name: str
    uid: str
    ref: CheckpointRef
    made: str

    def age_seconds(self, now: datetime) -> float:
        """Seconds since it was made; 0 where that cannot be read."""
        try:
            return (now - datetime.fromisoformat(self.made)).total_seconds()
        except (TypeError, ValueError):
            return 0.0


def _entry(manifest: Mapping[str, Any]) -> _Entry:
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    ref = CheckpointRef(str(annotations.get(_MODEL, "")), str(annotations.get(_REVISION, "")))
    return _Entry(str(metadata["name"]), str(metadata.get("uid", "")), ref, str(metadata.get("creationTimestamp", "")))


def config_map_name(ref: CheckpointRef) -> str:
    """Name of the ConfigMap that holds a checkpoint's metadata."""
    digest = hashlib.sha256(f"{ref.model}@{ref.revision}".encode()).hexdigest()[:32]
    return f"model-facts-{digest}"
