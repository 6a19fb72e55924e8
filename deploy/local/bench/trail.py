"""The audit log, followed: who wrote what, and when, by the API server's clock."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from localcluster.audit import WRITE_VERBS


@dataclass(frozen=True, slots=True)
class Write:
    """One write the API server served.

    Attributes:
        user: who wrote.
        verb: create, update, patch, delete, ….
        resource: plural, with the subresource behind a slash: `modelservings/status`.
        name: of the object; empty where the server made it up.
        received: when the request came, seconds since 1970.
        answered: when its answer was complete, seconds since 1970.
        status: HTTP status of the answer.
    """

    user: str
    verb: str
    resource: str
    name: str
    received: float
    answered: float
    status: int

    @property
    def is_event(self) -> bool:
        """Whether it wrote an Event."""
        return self.resource == "events"

    @property
    def is_lease(self) -> bool:
        """Whether it wrote a Lease: the heartbeat of leader election."""
        return self.resource == "leases"


class Trail:
    """Reads what was added to an audit log since the last look; keeps the writes only."""

    def __init__(self, log: Path) -> None:
        """Follow `log` from its beginning."""
        self._log = log
        self._offset = 0
        self._writes: list[Write] = []

    def writes(self) -> list[Write]:
        """Return all writes so far, in the log's order."""
        if self._log.exists():
            with self._log.open("rb") as log:
                log.seek(self._offset)
                for line in log:
                    if not line.endswith(b"\n"):  # the API server may be in the middle of the last one
                        break
                    self._offset += len(line)
                    self._writes += _write(line)
        return self._writes

    def by(self, user: str, since: float = 0.0) -> list[Write]:
        """Return a user's writes received since a moment, Leases left out."""
        return [each for each in self.writes() if each.user == user and each.received >= since and not each.is_lease]


def _write(line: bytes) -> Iterator[Write]:
    # Most lines are reads and controllers' chatter: what cannot be a write is not parsed.
    event: dict[str, Any] = json.loads(line)
    if event["verb"] not in WRITE_VERBS or event.get("stage") != "ResponseComplete":
        return
    reference = event.get("objectRef") or {}
    resource, subresource = reference.get("resource", ""), reference.get("subresource")
    yield Write(
        user=event["user"].get("username", ""),
        verb=event["verb"],
        resource=f"{resource}/{subresource}" if subresource else resource,
        name=reference.get("name", ""),
        received=_seconds(event["requestReceivedTimestamp"]),
        answered=_seconds(event["stageTimestamp"]),
        status=(event.get("responseStatus") or {}).get("code", 0),
    )


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def counted(writes: Iterable[Write]) -> str:
    """Say what was written, most frequent first: `1,000 patch deployments, 12 create events`."""
    counts = Counter(f"{each.verb} {each.resource}" for each in writes)
    return ", ".join(f"{count:,} {what}" for what, count in counts.most_common()) or "nothing"
