"""Who can read the metadata of a checkpoint, and one of them that is made late."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata


class MetadataReader(Protocol):
    """Whoever can read the metadata of a checkpoint."""

    async def fetch(self, ref: CheckpointRef, token: str | None = None) -> ModelMetadata | MetadataFailure:
        """Read the metadata of one checkpoint."""


class ClosableReader(MetadataReader, Protocol):
    """One that has to be closed."""

    def close(self) -> None:
        """Take no more work."""


class LateReader:
    """Makes a reader when it is first asked: a start whose facts are all kept asks nobody, and need not wait for a Hub's client.

    Args:
        make: makes it, in a thread: importing huggingface_hub takes a fifth of a second.
    """

    def __init__(self, make: Callable[[], ClosableReader]) -> None:
        self._make = make
        self._reader: ClosableReader | None = None
        self._turn = asyncio.Lock()

    async def fetch(self, ref: CheckpointRef, token: str | None = None) -> ModelMetadata | MetadataFailure:
        """Read the metadata of one checkpoint."""
        async with self._turn:
            if self._reader is None:
                self._reader = await asyncio.to_thread(self._make)
        return await self._reader.fetch(ref, token)

    def close(self) -> None:
        """Take no more work."""
        if self._reader is not None:
            self._reader.close()
