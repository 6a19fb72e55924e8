"""Tells: status on difference, events on transitions.

The status of a workload that was just written waits for `settle_seconds`, so that plan and Ready are one write where pods come up
quickly; while new resources wait for their first look, or others' pods come up one after the other, it waits longer. Whatever a
person must act on is told at once.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelserving.controller.cache import Cache, Serving, serving_of
from modelserving.controller.ports import ClusterClient, EventPort
from modelserving.controller.resources import MODELSERVINGS
from modelserving.errors import NotFoundError
from modelserving.planning.plan import Plan, Rejection
from modelserving.render.status import Subject, WorkloadObservation, observe, transitions

_LOG = logging.getLogger(__name__)
# Longest that the status of a workload on its way waits behind resources that have none yet.
LONGEST_SETTLE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What one look at a resource found.

    Attributes:
        outcome: a plan, or why there is none; None while facts are being read.
        workload: what runs; None if nothing does.
        in_force: plan of what runs.
        arguments: of `vllm serve`, for the plan that is shown.
        reading: what is being read where the outcome is None.
        cluster_problem: what changed under the running plan, or who fights over it.
        contested: whether it is the latter.
        wrote: whether the workload was written just now.
    """

    outcome: Plan | Rejection | None
    workload: WorkloadObservation | None = None
    in_force: Plan | None = None
    arguments: Sequence[str] = ()
    reading: str = ""
    cluster_problem: str = ""
    contested: bool = False
    wrote: bool = False

    @property
    def on_its_way(self) -> bool:
        """Whether nothing is wrong and pods are coming up: more will be known in a moment."""
        if not isinstance(self.outcome, Plan) or self.workload is None or self.workload.stalled:
            return False
        return not self.workload.rolled_out or self.workload.ready < self.workload.desired


class Reporter:
    """Writes statuses.

    Args:
        client: API server.
        cache: what is known.
        events: where events go.
        settle_seconds: how long the status of a workload that was just written waits.
        busy: whether there is more important work.
        clock: monotonic seconds.
        now: time of day, RFC 3339.
    """

    def __init__(
        self,
        client: ClusterClient,
        cache: Cache,
        events: EventPort,
        settle_seconds: float,
        busy: Callable[[], bool],
        clock: Callable[[], float],
        now: Callable[[], str],
    ) -> None:
        self._client = client
        self._cache = cache
        self._events = events
        self._settle_seconds = settle_seconds
        self._busy = busy
        self._clock = clock
        self._now = now
        self._settling: dict[str, tuple[float, float]] = {}
        self._settled_at = -settle_seconds

    async def tell(self, serving: Serving, manifest: Mapping[str, Any], found: Findings) -> None:
        """Write the status if it says anything new."""
        before = manifest.get("status")
        before = before if isinstance(before, Mapping) else None
        status = observe(
            _subject(manifest),
            before,
            found.outcome,
            found.workload,
            now=self._now(),
            in_force=found.in_force,
            arguments=found.arguments,
            reading=found.reading,
            cluster_problem=found.cluster_problem,
            contested=found.contested,
        )
        if status == before:
            return
        try:
            written = await self._client.put_status(MODELSERVINGS, manifest, status)
        except NotFoundError:
            # Deleted meanwhile. That is an event of its own, unless a watch missed it.
            self._cache.remove_serving(serving.key, serving.uid)
            return
        self._cache.put_serving(serving_of(written))
        for event in transitions(before, status):
            _LOG.info("%s: %s: %s", serving.key, event.reason, event.message)
            self._events.post(manifest, event.type, event.reason, event.message)

    def forget(self, key: str) -> None:
        """Drop what is kept for a key."""
        self._settling.pop(key, None)

    def wait(self, key: str, found: Findings) -> float:
        """Seconds after which to come again with what was found; 0 where it is to be told now."""
        now = self._clock()
        if found.wrote and self._settle_seconds:
            self._settling.setdefault(key, (now + self._settle_seconds, now + LONGEST_SETTLE_SECONDS))
        if key not in self._settling:
            return 0.0
        until, latest = self._settling[key]
        if found.on_its_way and (self._busy() or now < self._settled_at + self._settle_seconds):
            # Whoever makes the pods is as busy, or comes to these in a moment.
            until = min(max(until, now + self._settle_seconds), latest)
            self._settling[key] = (until, latest)
        if found.on_its_way and now < until:
            return until - now
        del self._settling[key]
        if not found.on_its_way:
            self._settled_at = now
        return 0.0


def wanted_replicas(manifest: Mapping[str, Any]) -> int:
    """Replicas that a resource asks for, however wrong its spec is."""
    spec = manifest.get("spec")
    replicas = spec.get("replicas", 1) if isinstance(spec, Mapping) else 1
    return replicas if isinstance(replicas, int) else 1


def _subject(manifest: Mapping[str, Any]) -> Subject:
    """What is known of a resource however wrong its spec is."""
    metadata, spec = manifest["metadata"], manifest.get("spec")
    spec = spec if isinstance(spec, Mapping) else {}
    return Subject(
        namespace=metadata["namespace"],
        name=metadata["name"],
        generation=int(metadata.get("generation", 0)),
        replicas=wanted_replicas(manifest),
        plan_only=spec.get("planOnly") is True,
    )
