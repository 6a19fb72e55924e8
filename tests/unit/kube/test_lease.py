"""The election, step by step on a clock that is moved: who may lead when.

The stand-in holds one Lease with the API server's rule on resourceVersion; two real processes and a real Lease are in
tests/cluster/test_operator_restart.py.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from loop_cases import Clock
from modelserving.controller.resources import Resource
from modelserving.errors import ClusterError, ConflictError, LeaseLostError, NotFoundError
from modelserving.kube.client import KubeClient
from modelserving.kube.lease import Lease


class OneLease:
    def __init__(self) -> None:
        self.held: dict[str, Any] | None = None
        self.version = 0
        self.down = False

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        if self.down:
            raise ClusterError("no answer")
        if self.held is None:
            raise NotFoundError("none", 404)
        return copy.deepcopy(self.held)

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> None:
        if self.held is not None:
            raise ConflictError("exists", 409)
        self.write(manifest)

    async def replace(self, resource: Resource, manifest: Mapping[str, Any]) -> None:
        if self.held is None or manifest["metadata"]["resourceVersion"] != self.held["metadata"]["resourceVersion"]:
            raise ConflictError("changed", 409)
        self.write(manifest)

    def write(self, manifest: Mapping[str, Any]) -> None:
        self.version += 1
        self.held = copy.deepcopy(dict(manifest))
        self.held["metadata"]["resourceVersion"] = str(self.version)

    @property
    def holder(self) -> str:
        assert self.held is not None
        return str(self.held["spec"]["holderIdentity"])


class Election:
    """One Lease, a clock, and sleeps that only move it; after so many of them the sleeper is stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lease, self.clock = OneLease(), Clock()
        self.on_sleep: Callable[[int], None] = lambda _: None
        self.sleeps = 0
        monkeypatch.setattr("modelserving.kube.lease.asyncio.sleep", self.sleep)

    def replica(self, name: str) -> Lease:
        return Lease(cast(KubeClient, self.lease), "system", name, 15, self.clock)

    async def sleep(self, seconds: float) -> None:
        self.clock.seconds += seconds
        self.sleeps += 1
        self.on_sleep(self.sleeps)


@pytest.fixture
def election(monkeypatch: pytest.MonkeyPatch) -> Election:
    return Election(monkeypatch)


async def test_the_first_leads_at_once(election: Election) -> None:
    first = election.replica("first")
    await first.acquire()
    assert (first.leading, election.lease.holder, election.sleeps) == (True, "first", 0)


async def test_a_standby_leads_once_the_lease_was_silent_for_its_duration(election: Election) -> None:
    await election.replica("first").acquire()
    begun = election.clock.seconds
    await election.replica("second").acquire()
    assert election.lease.holder == "second"
    assert election.clock.seconds - begun > 15


async def test_a_standby_leads_soon_after_a_release(election: Election) -> None:
    first = election.replica("first")
    await first.acquire()
    await first.release()
    begun = election.clock.seconds
    await election.replica("second").acquire()
    assert election.clock.seconds == begun


async def test_a_leader_that_renews_is_not_followed(election: Election) -> None:
    first, second = election.replica("first"), election.replica("second")
    await first.acquire()

    def renew_then_stop(count: int) -> None:
        assert election.lease.held is not None
        election.lease.write(election.lease.held)
        if count == 40:
            raise KeyboardInterrupt

    election.on_sleep = renew_then_stop
    with pytest.raises(KeyboardInterrupt):
        await second.acquire()
    assert election.lease.holder == "first"


async def test_a_leader_survives_a_server_that_is_away_for_less_than_the_lease(election: Election) -> None:
    first = election.replica("first")
    await first.acquire()

    def away(count: int) -> None:
        election.lease.down = count == 2
        if count == 4:
            raise KeyboardInterrupt

    election.on_sleep = away
    with pytest.raises(KeyboardInterrupt):
        await first.keep()
    assert first.leading


async def test_a_leader_that_cannot_renew_gives_up_before_others_may_lead(election: Election) -> None:
    first = election.replica("first")
    await first.acquire()
    election.lease.down = True
    begun = election.clock.seconds
    with pytest.raises(LeaseLostError):
        await first.keep()
    assert election.clock.seconds - begun < 15
    assert not first.leading


async def test_a_leader_whose_lease_another_took_gives_up(election: Election) -> None:
    first = election.replica("first")
    await first.acquire()
    assert election.lease.held is not None
    taken = copy.deepcopy(election.lease.held)
    taken["spec"]["holderIdentity"] = "second"
    election.lease.write(taken)
    with pytest.raises(LeaseLostError):
        await first.keep()
    await first.release()
    assert election.lease.holder == "second"
