"""Workers and resync: the tasks that never end.

A failure of one key is that key's: it is logged, told in its status, and tried again with growing pauses; the loop goes on.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from modelserving.controller.cache import serving_of
from modelserving.controller.delivery import Delivery, node_of
from modelserving.controller.ports import ClusterClient, Telemetry
from modelserving.controller.reconcile import Reconciler
from modelserving.controller.resources import MODELSERVINGS, NODES
from modelserving.controller.workqueue import WorkQueue
from modelserving.errors import ClusterError, ConflictError

_LOG = logging.getLogger(__name__)
# After a failed resync the next one does not wait for the full period.
RESYNC_RETRY_SECONDS = 30.0


class Workers:
    """Take keys from the queue and look at them.

    Args:
        queue: of keys.
        reconciler: looks at one.
        telemetry: what is counted.
        clock: monotonic seconds.
    """

    def __init__(
        self, queue: WorkQueue, reconciler: Reconciler, telemetry: Telemetry, clock: Callable[[], float]
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._telemetry = telemetry
        self._clock = clock
        self._busy_since: dict[str, float] = {}

    async def work(self) -> None:
        """Look at one key after the other until cancelled."""
        while True:
            key = await self._queue.get()
            self._busy_since[key] = self._clock()
            try:
                await self._look(key)
            finally:
                del self._busy_since[key]
                self._queue.done(key)

    def longest_seconds(self) -> float:
        """How long the look that takes longest has taken so far."""
        now = self._clock()
        return max((now - since for since in self._busy_since.values()), default=0.0)

    async def _look(self, key: str) -> None:
        started, outcome = time.perf_counter(), "done"
        try:
            again = await self._reconciler.reconcile(key)
            self._queue.succeeded(key)
            if again is not None:
                outcome = "requeued"
                self._queue.add_after(key, again)
        except ClusterError as error:
            outcome = "requeued" if isinstance(error, ConflictError) else "error"
            pause = self._queue.retry(key, error.retry_after or 0.0)
            _LOG.warning("%s: %s; trying again in %.1f s", key, error, pause)
        except Exception as error:  # noqa: BLE001  a bug that one resource meets must not stop the others
            outcome = "error"
            _LOG.exception("%s: failed; trying again in %.1f s", key, self._queue.retry(key))
            await self._tell(key, error)
        self._telemetry.reconciled(outcome, time.perf_counter() - started)

    async def _tell(self, key: str, error: Exception) -> None:
        try:
            await self._reconciler.tell_bug(key, error)
        except Exception:  # noqa: BLE001  telling of a failure must not be one more
            _LOG.exception("%s: the failure could not be told in its status", key)


class Resync:
    """Reads everything anew from time to time: what watches missed is found, what is gone is dropped.

    Args:
        client: API server.
        delivery: takes what was read.
        tidy: called after each that succeeded but the first, to drop what is no longer needed.
        seconds: pause between.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: ClusterClient,
        delivery: Delivery,
        tidy: Callable[[], Awaitable[object]],
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._delivery = delivery
        self._tidy = tidy
        self._seconds = seconds
        self._clock = clock
        self._succeeded_at = clock()

    async def once(self) -> None:
        """Read all nodes and ModelServings.

        Raises:
            ClusterError: one of the lists could not be read.
        """
        self._delivery.nodes_listed(*await self._client.listed(NODES, node_of))
        self._delivery.servings_listed(*await self._client.listed(MODELSERVINGS, serving_of))
        self._succeeded_at = self._clock()

    async def run(self) -> None:
        """Resync until cancelled."""
        while True:
            await asyncio.sleep(self._seconds if self.age_seconds() < self._seconds else RESYNC_RETRY_SECONDS)
            try:
                await self.once()
                await self._tidy()
            except ClusterError as error:
                _LOG.warning("resync: %s", error)

    def age_seconds(self) -> float:
        """Seconds since the last resync that succeeded."""
        return self._clock() - self._succeeded_at
