"""A sick API server and a bad network, between a real operator and a real API server: nothing is lost, nothing doubled."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cluster.faultproxy import FaultProxy
from cluster.operator_process import OperatorProcess, Servings, object_writes
from installation import Installation
from localcluster import LocalCluster, wait_for

pytestmark = pytest.mark.timeout(300)
WRITES = "POST|PUT|PATCH|DELETE"
# How the API server ends a watch whose place in history is gone.
GONE = '{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}\n'


@pytest.fixture(scope="module")
def installation(local_cluster: LocalCluster) -> Installation:
    return Installation.install(local_cluster)


@pytest.fixture
def operator(installation: Installation, fault_proxy: FaultProxy) -> Iterator[OperatorProcess]:
    # A partition lasts as long as the garbage collector takes, which is no test of the Lease.
    with OperatorProcess(installation, server=fault_proxy.url, settings={"LEASE_SECONDS": "90"}) as process:
        yield process.wait_ready()
        print(process.said(50))  # shown where the test failed
        fault_proxy.clear()
        fault_proxy.heal()


@pytest.fixture
def servings(operator: OperatorProcess, local_cluster: LocalCluster, namespace: str) -> Servings:
    assert operator.process.poll() is None
    return Servings(local_cluster, namespace)


def replicas(servings: Servings, name: str) -> int:
    return int(servings.get(name, "deployments")["spec"]["replicas"])


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_server_that_fails_writes_for_a_while_gets_them_later(
    servings: Servings, fault_proxy: FaultProxy, status: int
) -> None:
    with fault_proxy.fail(status, WRITES, f"/namespaces/{servings.namespace}/", times=3) as fault:
        servings.create("patient")
        wait_for(lambda: fault.hits == 3, 30, "the faults to be met")
        servings.wait_ready("patient")


def test_too_many_requests_are_not_answered_with_more(
    servings: Servings, fault_proxy: FaultProxy, operator: OperatorProcess
) -> None:
    with fault_proxy.fail(429, WRITES, f"/namespaces/{servings.namespace}/", retry_after=2, times=1):
        servings.create("polite")
        wait_for(lambda: "trying again in" in operator.said(), 10, "the pause")
        servings.wait_ready("polite")
    (pause,) = [line for line in operator.said().splitlines() if "trying again in" in line and "polite" in line]
    assert float(pause.rpartition("trying again in ")[2].split()[0]) >= 2


def test_a_request_carried_out_whose_answer_was_lost_is_not_carried_out_twice(
    servings: Servings, fault_proxy: FaultProxy
) -> None:
    with fault_proxy.lose_replies("PATCH", "/deployments/", times=1):
        servings.create("unheard")
        servings.wait_ready("unheard")
    assert servings.get("unheard", "deployments")["metadata"]["generation"] == 1
    assert len(servings.all("replicasets")) == 1


def test_dropped_watches_are_taken_up_again(servings: Servings, fault_proxy: FaultProxy) -> None:
    servings.create("watched")
    servings.wait_ready("watched")
    assert fault_proxy.drop_watches() >= 5
    servings.change("watched", spec={"replicas": 2})
    wait_for(lambda: replicas(servings, "watched") == 2, 15, "the change to be seen")
    servings.change("watched", "deployments", spec={"replicas": 5})
    wait_for(lambda: replicas(servings, "watched") == 2, 15, "the damage to be seen")


def test_watches_that_lost_their_place_begin_anew(servings: Servings, fault_proxy: FaultProxy) -> None:
    servings.create("expired")
    servings.wait_ready("expired")
    with fault_proxy.fail(503, "GET", "watch="):
        assert fault_proxy.expire_watches() >= 5
        servings.delete("expired", "services")
        servings.change("expired", "deployments", spec={"replicas": 5})
    wait_for(lambda: servings.get("expired", "services") and replicas(servings, "expired") == 1, 30, "both as before")


def test_what_was_deleted_while_nobody_watched_is_gone(servings: Servings, fault_proxy: FaultProxy) -> None:
    """Watches that lost their place tell of no deletion: one resource comes anew under its old name, the other does not."""
    for name in ("ghost", "gone"):
        servings.create(name)
    for name in ("ghost", "gone"):
        servings.wait_ready(name)
    fault_proxy.partition()
    for name in ("ghost", "gone"):
        servings.delete(name)
    for kind in ("modelservings", "deployments", "services"):
        servings.wait_gone("ghost", kind)
        servings.wait_gone("gone", kind)
    created = servings.create("ghost", contextLength=1024)
    with fault_proxy.answer(GONE, "GET", "watch=", times=5) as fault:
        fault_proxy.heal()
        wait_for(lambda: fault.hits == 5, 40, "all watches to lose their place")
    found = servings.wait_ready("ghost")
    (owner,) = servings.get("ghost", "deployments")["metadata"]["ownerReferences"]
    assert owner["uid"] == created["metadata"]["uid"] == found["metadata"]["uid"]
    assert {each["metadata"]["name"] for each in servings.all("deployments")} == {"ghost"}


def test_a_partition_shorter_than_the_lease_is_lived_through(
    servings: Servings, fault_proxy: FaultProxy, operator: OperatorProcess
) -> None:
    servings.create("before")
    servings.wait_ready("before")
    fault_proxy.partition()
    servings.create("during")
    servings.change("before", spec={"replicas": 2})
    wait_for(lambda: "trying again" in operator.said(), 10, "the partition to be noticed")
    fault_proxy.heal()
    servings.wait_ready("during")
    wait_for(lambda: replicas(servings, "before") == 2, 20, "the change to be seen")
    assert operator.ask("/healthz") == "ok"


def test_a_partition_longer_than_the_lease_ends_the_process(
    installation: Installation, fault_proxy: FaultProxy, local_cluster: LocalCluster
) -> None:
    """By then another may lead; started anew it finds out."""
    short = {"LEASE_SECONDS": "3"}
    with OperatorProcess(installation, "cut-off", fault_proxy.url, short) as operator:
        operator.wait_ready()
        fault_proxy.partition()
        assert operator.process.wait(15) == 1
        assert "LeaseLostError" in operator.said()
    fault_proxy.heal()


@pytest.mark.parametrize("text", ["<html>who are you?</html>", '{"kind": "Deployment", "met'])
def test_answers_that_are_no_objects_are_not_believed(servings: Servings, fault_proxy: FaultProxy, text: str) -> None:
    with fault_proxy.answer(text, "GET|PATCH", f"/namespaces/{servings.namespace}/", times=3) as fault:
        servings.create("misled")
        wait_for(lambda: fault.hits == 3, 20, "the answers to be given")
        servings.wait_ready("misled")


def test_a_slow_server_is_waited_for(servings: Servings, fault_proxy: FaultProxy, installation: Installation) -> None:
    begun = datetime.now(UTC)
    with fault_proxy.delay(1.0, "PATCH", f"/namespaces/{servings.namespace}/"):
        servings.create("slow")
        servings.wait_ready("slow")
    assert len(object_writes(installation, begun, servings.namespace)) <= 4


def test_a_refusal_of_the_status_alone_does_not_keep_pods_from_coming_up(
    servings: Servings, fault_proxy: FaultProxy
) -> None:
    with fault_proxy.fail(500, "PATCH", "/status"):
        servings.create("untold")
        wait_for(
            lambda: servings.get("untold", "deployments").get("status", {}).get("readyReplicas"), 20, "a ready pod"
        )
        assert servings.condition("untold", "Planned") == ("", "", "")
    servings.wait_ready("untold")


def test_a_restarted_api_server_is_found_again(
    installation: Installation, local_cluster: LocalCluster, namespace: str
) -> None:
    servings = Servings(local_cluster, namespace)
    with OperatorProcess(installation, "steadfast") as operator:
        operator.wait_ready()
        local_cluster.restart_apiserver()
        servings.create("afterwards")
        servings.wait_ready("afterwards")
        assert operator.ask("/healthz") == "ok"
