"""The scene of all measurements: cluster, operator, models made and waited for."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.trail import Trail, Write
from installation import Installation, OperatorProcess
from localcluster import LocalCluster, wait_for

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
CONTEXT_LENGTH = 8192
SERVINGS = "/apis/modelserving.dev/v1alpha1/namespaces/default/modelservings"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SERVER_SIDE_APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
CREATORS = 4
"""Requests under way at once in a burst: the API server, not the creator, is to be the limit on two cores."""
BAD_REQUEST = 400
QUIET_SECONDS = 4.0
"""No write for so long counts as settled: longer than any pause the operator makes between two writes of one object."""
LOOKS_AT_QUIET = 20
"""Times the audit log is read in a quiet stretch: often enough to see its end, seldom enough to leave the machine to what is measured."""


@dataclass
class Stage:
    """A cluster with the operator installed.

    Attributes:
        cluster: the local cluster.
        installation: the operator's objects.
        operator: the process that runs now.
        trail: the audit log.
    """

    cluster: LocalCluster
    installation: Installation
    operator: OperatorProcess
    trail: Trail

    def create(self, name: str) -> None:
        """Create one ModelServing."""
        self.cluster.request("POST", SERVINGS, serving(name))

    def create_many(self, names: list[str]) -> None:
        """Create many, a few requests at a time."""
        with ThreadPoolExecutor(CREATORS) as pool:
            list(pool.map(self.create, names))

    def delete_all(self) -> None:
        """Delete every ModelServing, and wait until what was made for them is gone too."""
        self.cluster.request("DELETE", SERVINGS)
        # The garbage collector learns of a new CRD within half a minute; only then does it delete what such resources own.
        wait_for(lambda: self.count(DEPLOYMENTS) + self.count(PODS) == 0, 120, "workloads to be collected")
        self.settle()

    def count(self, path: str) -> int:
        """Count the objects of a collection without fetching them."""
        listed = self.cluster.request("GET", f"{path}?limit=1")
        return len(listed["items"]) + int(listed["metadata"].get("remainingItemCount", 0))

    def written(self, since: float = 0.0) -> list[Write]:
        """Return what the operator wrote since a moment, Leases left out."""
        return self.trail.by(self.installation.user, since)

    def first_write(self, resource: str, name: str, since: float, timeout: float = 60.0) -> Write:
        """Wait for the operator's first successful write of an object since a moment."""

        def found() -> Write | None:
            self.operator.check()
            return next(
                (
                    each
                    for each in self.written(since)
                    if each.resource == resource and each.name == name and each.status < BAD_REQUEST
                ),
                None,
            )

        write = wait_for(found, timeout, f"the operator to write {resource} {name}")
        assert write is not None
        return write

    def settle(self, quiet_seconds: float = QUIET_SECONDS, timeout: float = 900.0) -> None:
        """Wait until neither the operator nor anybody on deployments wrote anything for a while."""
        seen, since = -1, time.monotonic()

        def is_quiet() -> bool:
            nonlocal seen, since
            self.operator.check()
            now = sum(1 for each in self.trail.writes() if not each.is_lease)
            if now != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() - since >= quiet_seconds

        wait_for(is_quiet, timeout, "the cluster to settle", quiet_seconds / LOOKS_AT_QUIET)

    def restart(self) -> tuple[float, OperatorProcess]:
        """Start the operator anew, and say when its process was started, seconds since 1970."""
        begun = time.time()
        self.operator = self.installation.start("operator-restarted")
        return begun, self.operator


def serving(name: str) -> dict[str, Any]:
    """Write one ModelServing that takes one GPU."""
    return {
        "apiVersion": "modelserving.dev/v1alpha1",
        "kind": "ModelServing",
        "metadata": {"name": name},
        "spec": {"model": MODEL, "contextLength": CONTEXT_LENGTH},
    }
