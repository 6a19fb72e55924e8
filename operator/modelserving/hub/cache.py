"""Metadata as text, to keep it where a restart finds it.

An entry of a commit is true for ever. An entry of a branch or tag is asked again when it is older than a day
(`hub_max_age_seconds`), and only for a new plan: a plan in force names its commit and is served from the entry at any age.
"""

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from modelserving.hub.names import is_commit
from modelserving.models.metadata import CheckpointRef, ModelMetadata, Origin, TensorGroup
from modelserving.units import MIB

# Raised whenever an older reader would misread an entry; entries of another version count as absent.
_SCHEMA = 1
# A gzip bomb in a ConfigMap must not take the operator down; the largest real entry is some 100 KiB.
_LONGEST_TEXT = 16 * MIB


@dataclass(frozen=True, slots=True)
class CachedMetadata:
    """Metadata and what decides whether it may be used.

    Attributes:
        metadata: as read from the Hub.
        read_at: when, in seconds since 1970.
        scope: who may use restricted metadata (`namespace` of the Secret it was read with); empty means everybody.
    """

    metadata: ModelMetadata
    read_at: float
    scope: str = ""

    def is_open_to(self, scope: str) -> bool:
        """Whether a resource of this scope may use it: what one token may read is not shown to the holder of another."""
        return not self.metadata.restricted or self.scope == scope

    def is_fresh(self, ref: CheckpointRef, now: float, max_age_seconds: float) -> bool:
        """Whether it still tells what the revision means."""
        return is_commit(ref.revision) or 0 <= now - self.read_at <= max_age_seconds


class MetadataStore(Protocol):
    """Where entries outlive the process. Both calls may raise `ClusterError`; a failing store never stops a reading."""

    async def get(self, ref: CheckpointRef) -> CachedMetadata | None:
        """The entry for a reference exactly as asked (model and revision), if there is one that `decode` can read."""

    async def put(self, ref: CheckpointRef, entry: CachedMetadata) -> None:
        """Keep an entry, in place of the one before."""


def encode(entry: CachedMetadata) -> str:
    """Write an entry as ASCII text (base64 of gzip of JSON); the same entry gives the same text."""
    metadata = entry.metadata
    document = {
        "schema": _SCHEMA,
        "readAt": entry.read_at,
        "scope": entry.scope,
        "model": metadata.model,
        "revision": metadata.revision,
        "origin": metadata.origin.value,
        "config": metadata.config,
        "tensors": [
            [group.pattern, list(group.shape), group.dtype, group.count, list(group.layers)]
            for group in metadata.tensors
        ],
        "parameterTotals": dict(metadata.parameter_totals),
        "quantizationFiles": dict(metadata.quantization_files),
        "restricted": metadata.restricted,
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def decode(text: str) -> CachedMetadata | None:
    """Read an entry; None where the text is anything else: a cache is asked anew, never trusted by force."""
    try:
        inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        plain = inflate.decompress(base64.b64decode(text, validate=True), _LONGEST_TEXT)
        document = json.loads(plain) if inflate.eof else None
        return _entry(document) if isinstance(document, dict) and document.get("schema") == _SCHEMA else None
    except (ValueError, TypeError, KeyError, binascii.Error, zlib.error, RecursionError):
        return None


def _entry(document: Mapping[str, Any]) -> CachedMetadata:
    metadata = ModelMetadata(
        model=_checked(document["model"], str),
        revision=_checked(document["revision"], str),
        origin=Origin(document["origin"]),
        config=_checked(document["config"], dict),
        tensors=tuple(_group(*row) for row in _checked(document["tensors"], list)),
        parameter_totals={name: _count(count) for name, count in _checked(document["parameterTotals"], dict).items()},
        quantization_files={
            name: _checked(content, dict) for name, content in _checked(document["quantizationFiles"], dict).items()
        },
        restricted=_checked(document["restricted"], bool),
    )
    return CachedMetadata(metadata, float(_checked(document["readAt"], float | int)), _checked(document["scope"], str))


def _group(pattern: Any, shape: Any, dtype: Any, count: Any, layers: Any) -> TensorGroup:
    return TensorGroup(
        pattern=_checked(pattern, str),
        shape=tuple(_count(side) for side in _checked(shape, list)),
        dtype=_checked(dtype, str),
        count=_count(count),
        layers=tuple(_count(layer) for layer in _checked(layers, list)),
    )


def _checked(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value
