"""A store of metadata in memory: the one in the cluster needs an API server; entries travel as the same text."""

from modelserving.errors import ClusterError
from modelserving.hub.cache import CachedMetadata, decode, encode
from modelserving.models.metadata import CheckpointRef


class MemoryStore:
    """A `MetadataStore` that can be broken."""

    def __init__(self) -> None:
        self.texts: dict[CheckpointRef, str] = {}
        self.broken = False

    async def get(self, ref: CheckpointRef) -> CachedMetadata | None:
        if self.broken:
            raise ClusterError("the API server is away")
        return decode(self.texts[ref]) if ref in self.texts else None

    async def put(self, ref: CheckpointRef, entry: CachedMetadata) -> None:
        if self.broken:
            raise ClusterError("the API server is away")
        self.texts[ref] = encode(entry)
