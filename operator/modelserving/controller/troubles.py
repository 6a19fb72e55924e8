"""What keeps pods from answering, by the ModelServing they belong to.

A pod that waits for a node is no trouble at once: in every rollout without spare GPUs the new pod waits for the old one to go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from modelserving.render.troubles import Trouble

# Longer than the old pod takes to go in most rollouts, short enough for whoever watches.
UNSCHEDULED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be told of one workload's pods.

    Attributes:
        trouble: the one that matters; None where nothing is wrong.
        wait_seconds: when there may be something to tell; None where events suffice.
    """

    trouble: Trouble | None = None
    wait_seconds: float | None = None


class Troubles:
    """Pods in trouble."""

    def __init__(self) -> None:
        self._by_owner: dict[str, dict[str, Trouble]] = {}
        self._owners: dict[str, str] = {}

    def put(self, uid: str, owner: str, trouble: Trouble | None) -> str:
        """Take what a pod says of itself; returns its owner if that changed what is to be told, else nothing."""
        before = self._by_owner.get(owner, {}).get(uid)
        if trouble == before:
            return ""
        if trouble is None:
            self._drop(uid)
        else:
            self._by_owner.setdefault(owner, {})[uid] = trouble
            self._owners[uid] = owner
        return owner

    def remove(self, uid: str) -> str:
        """Forget a pod; returns its owner if it was in trouble, else nothing."""
        return self._drop(uid)

    def replace(self, found: Iterable[tuple[str, str, Trouble]]) -> set[str]:
        """Take all pods in trouble that there are; returns the owners for whom that changed anything."""
        before = self._by_owner
        self._by_owner, self._owners = {}, {}
        for uid, owner, trouble in found:
            self.put(uid, owner, trouble)
        owners = before.keys() | self._by_owner.keys()
        return {owner for owner in owners if before.get(owner) != self._by_owner.get(owner)}

    def of(self, owner: str, now: str) -> Told:
        """Tell of the pods of one ModelServing.

        Args:
            owner: key of its pods.
            now: time of day, RFC 3339.
        """
        at_once, waits = [], []
        for trouble in self._by_owner.get(owner, {}).values():
            left = UNSCHEDULED_SECONDS - seconds_since(trouble.since, now) if trouble.since else 0.0
            if left > 0:
                waits.append(left)
            else:
                at_once.append(trouble)
        return Told(min(at_once, default=None), min(waits, default=None))

    def unscheduled_since(self, owner: str) -> str:
        """Since when a pod of one ModelServing has found no node, RFC 3339; empty where each has one."""
        found = self._by_owner.get(owner, {}).values()
        return min((trouble.since for trouble in found if trouble.since), default="")

    def _drop(self, uid: str) -> str:
        owner = self._owners.pop(uid, "")
        pods = self._by_owner.get(owner)
        if pods is not None:
            pods.pop(uid, None)
            if not pods:
                del self._by_owner[owner]
        return owner


def seconds_since(since: str, now: str) -> float:
    """Seconds between two times of day, RFC 3339."""
    try:
        return (_read(now) - _read(since)).total_seconds()
    except ValueError:
        return UNSCHEDULED_SECONDS


def _read(text: str) -> datetime:
    read = datetime.fromisoformat(text)
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)
