"""What the loop needs of the world outside, as Protocols: adapters implement them, tests replace them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from modelserving.api.modelserving import SecretKeyRef
from modelserving.controller.resources import Resource
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata

Manifest = Mapping[str, Any]
Kept = TypeVar("Kept")


class ClusterClient(Protocol):
    """The API server. Every method raises `ClusterError` (see `errors`) where the server refuses or does not answer."""

    async def apply(self, manifest: Manifest, force: bool = True) -> dict[str, Any]:
        """Server-side apply; without force a field that somebody else manages raises `ConflictError`."""

    async def replace_lists(self, manifest: Manifest) -> dict[str, Any]:
        """Replace the lists of an object's spec by the manifest's as a whole (JSON merge patch)."""

    async def forget_updates(self, live: Manifest, resource: Resource) -> dict[str, Any]:
        """Take what `replace_lists` wrote out of an object's managed fields."""

    async def put_status(self, resource: Resource, manifest: Manifest, status: Manifest) -> dict[str, Any]:
        """Replace the status of an object; `InvalidObjectError` if the object of that name is another one by now."""

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """Read one object; `NotFoundError` if there is none."""

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete one object if it still is the one with this uid; one that is gone already is fine."""

    async def listed(
        self, resource: Resource, keep: Callable[[Mapping[str, Any]], Kept], label_selector: str = ""
    ) -> tuple[list[Kept], int]:
        """Read all objects of a kind, page by page, and keep of each what `keep` says; with the version of the list."""


@dataclass(frozen=True, slots=True)
class Known:
    """Facts, or why they cannot be had, for every checkpoint asked for.

    Attributes:
        facts: by checkpoint.
        retry_seconds: when to ask again; None where nothing failed, or what failed is being read again.
    """

    facts: Mapping[CheckpointRef, ModelFacts | FactsRefusal | MetadataFailure]
    retry_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Facts are being read; the key is queued again when they are there.

    Attributes:
        seconds: how long they have been read for.
    """

    seconds: float


class FactsPort(Protocol):
    """Facts of models. Never waits."""

    def lookup(
        self, key: str, refs: Iterable[CheckpointRef], token_ref: SecretKeyRef | None, namespace: str
    ) -> Known | Pending:
        """Tell what is known of the checkpoints; start to read what is not, and queue `key` when it is there."""


class MetadataPort(Protocol):
    """Where metadata comes from: `hub.source.MetadataSource`."""

    async def fetch(
        self, ref: CheckpointRef, token: str | None = None, scope: str = ""
    ) -> ModelMetadata | MetadataFailure:
        """Find the metadata of a checkpoint."""


class TokenPort(Protocol):
    """Where tokens come from: Secrets."""

    async def token(self, namespace: str, ref: SecretKeyRef) -> str | MetadataFailure:
        """Read a token, or say why it cannot be had."""


class EventPort(Protocol):
    """Where events go. Never waits, never fails."""

    def post(self, serving: Manifest, kind: str, reason: str, message: str) -> None:
        """Post an event (`Normal` or `Warning`) on a ModelServing, soon."""


class Telemetry(Protocol):
    """What is counted. Never fails."""

    def reconciled(self, outcome: str, seconds: float) -> None:
        """One call of reconcile ended: `done`, `requeued`, `error`."""

    def planned(self, reason: str, seconds: float) -> None:
        """One call of the planner ended."""

    def facts_read(self, outcome: str, seconds: float) -> None:
        """One reading of a checkpoint's metadata ended: an origin, or the reason of a failure."""
