"""Metadata of checkpoints in ConfigMaps of the operator's namespace, so that a restart asks the Hub nothing."""

import hashlib
import logging

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
                    "labels": {MANAGED_BY_LABEL: MANAGER, "app.kubernetes.io/component": "model-facts"},
                    "annotations": {"modelserving.dev/model": ref.model, "modelserving.dev/revision": ref.revision},
                },
                "data": {_KEY: text},
            }
        )


def config_map_name(ref: CheckpointRef) -> str:
    """Name of the ConfigMap that holds a checkpoint's metadata."""
    digest = hashlib.sha256(f"{ref.model}@{ref.revision}".encode()).hexdigest()[:32]
    return f"model-facts-{digest}"
