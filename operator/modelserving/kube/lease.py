"""Leader election on a Lease: one operator acts, others stand by.

    standing by ──the Lease is free, released or expired──▶ leading ──release on exit──▶ standing by elsewhere
                                                          │
                                            not renewed for too long: LeaseLostError, the process ends

As client-go's leader election: a standby trusts its own clock only, from the moment it saw the Lease change.
The kubernetes package's own election creates no Lease (37.0.2 passes `pretty=True` where its models take text).
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from modelserving.controller.resources import LEASES
from modelserving.errors import ClusterError, ConflictError, LeaseLostError, NotFoundError
from modelserving.kube.client import KubeClient

_LOG = logging.getLogger(__name__)
NAME = "modelserving-operator"
# A standby sees a released Lease within this time.
_LONGEST_POLL_SECONDS = 2.0


class Lease:
    """One replica's part in the election.

    Args:
        client: API server.
        namespace: where the Lease is.
        identity: name of this replica.
        seconds: how long a leader that fell silent stays leader.
        clock: monotonic seconds.
    """

    def __init__(
        self, client: KubeClient, namespace: str, identity: str, seconds: int, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._seconds = seconds
        self._clock = clock
        self._seen = ""
        self._seen_at = 0.0
        self._renewed_at = 0.0
        self.leading = False

    async def acquire(self) -> None:
        """Wait until this replica leads."""
        while not self.leading:
            try:
                self.leading = await self._try()
            except ClusterError as error:
                _LOG.warning("lease %s/%s: %s", self._namespace, NAME, error)
            if not self.leading:
                await asyncio.sleep(min(self._seconds / 5, _LONGEST_POLL_SECONDS))
        _LOG.info("%s leads", self._identity)

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            LeaseLostError: another replica leads, or may by now.
        """
        while True:
            await asyncio.sleep(self._seconds / 4)
            try:
                renewed = await self._try()
            except ClusterError as error:
                _LOG.warning("lease %s/%s could not be renewed: %s", self._namespace, NAME, error)
                # Ends before others may take over, by the time that one more request can take.
                if self._clock() - self._renewed_at < self._seconds * 2 / 3:
                    continue
                renewed = False
            if not renewed:
                self.leading = False
                raise LeaseLostError(f"the lease {self._namespace}/{NAME} is no longer {self._identity}'s")

    async def release(self) -> None:
        """Let others lead at once."""
        if not self.leading:
            return
        self.leading = False
        try:
            lease = await self._client.get(LEASES, self._namespace, NAME)
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace(LEASES, lease)
        except ClusterError as error:
            _LOG.warning("lease %s/%s could not be released: %s", self._namespace, NAME, error)

    async def _try(self) -> bool:
        """Take or renew the Lease; False while it is another's."""
        started = self._clock()
        try:
            async with asyncio.timeout(self._seconds / 2):
                won = await self._write()
        except TimeoutError as error:
            raise ClusterError("the API server did not answer in time") from error
        except ConflictError:
            won = False
        if won:
            self._renewed_at = started
        return won

    async def _write(self) -> bool:
        try:
            lease = await self._client.get(LEASES, self._namespace, NAME)
        except NotFoundError:
            await self._client.create(LEASES, self._written({}, 0))
            return True
        if not self._free(lease):
            return False
        await self._client.replace(LEASES, self._written(lease, 1))
        return True

    def _free(self, lease: dict[str, Any]) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity")
        version = str(lease["metadata"].get("resourceVersion"))
        if version != self._seen:
            self._seen, self._seen_at = version, self._clock()
        if holder in (None, "", self._identity):
            return True
        return self._clock() - self._seen_at > float(spec.get("leaseDurationSeconds") or self._seconds)

    def _written(self, lease: dict[str, Any], transitions: int) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        old = lease.get("spec") or {}
        taken = old.get("holderIdentity") != self._identity
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": lease.get("metadata") or {"name": NAME, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": self._seconds,
                "acquireTime": now if taken else old.get("acquireTime", now),
                "renewTime": now,
                "leaseTransitions": int(old.get("leaseTransitions") or 0) + (transitions if taken else 0),
            },
        }
