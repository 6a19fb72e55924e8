"""Facts of models that no resource names any more: kept for a day, then dropped from the cluster."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from modelserving.controller.cache import Cache
from modelserving.models.metadata import CheckpointRef

DEFAULT_REVISION = "main"


class FactsStorePort(Protocol):
    """Where facts outlive the process: `kube.facts_store.FactsStore`."""

    async def drop_unused(self, used: frozenset[CheckpointRef]) -> int:
        """Delete what is old and not used; returns how many entries that were."""


class UnusedFacts:
    """Drops facts that nobody needs.

    Args:
        cache: knows all resources.
        store: where facts are kept.
    """

    def __init__(self, cache: Cache, store: FactsStorePort) -> None:
        self._cache = cache
        self._store = store

    async def drop(self) -> int:
        """Drop them; returns how many there were.

        Raises:
            ClusterError: the API server did not answer.
        """
        return await self._store.drop_unused(frozenset(self._used()))

    def _used(self) -> Iterator[CheckpointRef]:
        for key in self._cache.known_keys():
            serving = self._cache.serving(key)
            spec = serving.manifest().get("spec") if serving is not None else None
            if isinstance(spec, Mapping):
                yield from _named(spec)
                variants = spec.get("variants")
                for variant in variants if isinstance(variants, list) else ():
                    if isinstance(variant, Mapping):
                        yield from _named(variant)


def _named(part: Mapping[str, Any]) -> Iterator[CheckpointRef]:
    """The checkpoint that a spec or a variant names, valid or not."""
    model, revision = part.get("model"), part.get("revision", DEFAULT_REVISION)
    if isinstance(model, str) and isinstance(revision, str):
        yield CheckpointRef(model, revision)
