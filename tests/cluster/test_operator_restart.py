"""Processes that come and go: nothing is lost, nothing is done twice, one acts at a time."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.operator_process import OperatorProcess, Servings, object_writes, quiet, writes
from installation import Installation
from localcluster import LocalCluster, wait_for

pytestmark = pytest.mark.timeout(300)
LEASE = "/apis/coordination.k8s.io/v1/namespaces/modelserving-system/leases/modelserving-operator"


@pytest.fixture(scope="module")
def installation(local_cluster: LocalCluster) -> Installation:
    return Installation.install(local_cluster)


@pytest.fixture
def servings(installation: Installation, local_cluster: LocalCluster, namespace: str) -> Servings:
    """Alone in the cluster that `installation` prepared: what an operator does for others is counted too."""
    everywhere = "/apis/modelserving.dev/v1alpha1/modelservings"
    wait_for(
        lambda: not local_cluster.request("GET", everywhere)["items"], 60, "the resources of tests before to be gone"
    )
    return Servings(local_cluster, namespace)


def now() -> datetime:
    return datetime.now(UTC)


def holder(cluster: LocalCluster) -> str:
    return str(cluster.request("GET", LEASE)["spec"]["holderIdentity"])


def test_a_restart_writes_nothing_where_nothing_changed(servings: Servings, installation: Installation) -> None:
    names = [f"kept-{number}" for number in range(4)]
    with OperatorProcess(installation) as operator:
        operator.wait_ready()
        for name in names:
            servings.create(name)
        servings.create("bad", model="pvc://claim/path")
        for name in names:
            servings.wait_ready(name)
        servings.wait("bad", "Planned", "NotYetSupported")
        # Events are posted in the background.
        wait_for(lambda: all(len(servings.events(name)) >= 2 for name in names), 10, "the events")
        wait_for(lambda: servings.events("bad"), 10, "the event")
    with OperatorProcess(installation) as operator:
        operator.wait_ready()
        wait_for(lambda: operator.metric("reconciles_total") >= len(names) + 1, 10, "a look at each")
        begun = now()
        assert quiet(installation, 2.0, now, servings.namespace) == []
        assert operator.metric("facts_reads_total") == 0
        assert writes(installation, begun, servings.namespace) == []


def test_what_happened_while_no_operator_ran_is_caught_up_with(servings: Servings, installation: Installation) -> None:
    with OperatorProcess(installation) as operator:
        operator.wait_ready()
        for name in ("deleted", "changed", "damaged"):
            servings.create(name, contextLength=2048)
        for name in ("deleted", "changed", "damaged"):
            servings.wait_ready(name)
    servings.delete("deleted")
    servings.wait_gone("deleted")
    servings.change("changed", spec={"contextLength": 4096})
    servings.change("damaged", "deployments", spec={"paused": False, "replicas": 0})
    servings.create("new", gpu={"products": ["NVIDIA-L40S"]})
    begun = now()
    with OperatorProcess(installation) as operator:
        operator.wait_ready()
        for name in ("new", "changed"):
            servings.wait_ready(name)
        wait_for(lambda: servings.get("damaged", "deployments")["spec"]["replicas"] == 1, 10, "replicas as asked")
        servings.wait_ready("damaged")
        for kind in ("deployments", "services"):
            servings.wait_gone("deleted", kind)
    assert not [write for write in object_writes(installation, begun, servings.namespace) if "deleted" in write]
    arguments = servings.get("changed", "deployments")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--max-model-len=4096" in arguments


def test_a_plan_in_force_survives_a_restart(servings: Servings, installation: Installation) -> None:
    """It lives on the Deployment: after a restart nobody is asked for facts, and a change that no plan hangs on makes no plan."""
    with OperatorProcess(installation) as operator:
        operator.wait_ready()
        servings.create("planned", gpu={"products": ["NVIDIA-L40S"]})
        before = servings.wait_ready("planned")["status"]["plan"]
    with OperatorProcess(installation) as operator:
        operator.wait_ready()
        servings.change("planned", spec={"replicas": 2})
        wait_for(lambda: servings.get("planned")["status"]["ready"] == "2/2", 30, "two ready pods")
        assert operator.metric("plans_total") == 0
    assert servings.get("planned")["status"]["plan"] == before
    assert len(servings.all("replicasets")) == 1


def test_asked_to_stop_it_ends_well_and_lets_the_standby_lead_at_once(
    servings: Servings, installation: Installation, local_cluster: LocalCluster
) -> None:
    with OperatorProcess(installation, "first") as first:
        first.wait_ready()
        with OperatorProcess(installation, "second") as second:
            second.wait_ready("standby")
            assert second.ask("/healthz") == "ok"
            assert holder(local_cluster) == "first"
            assert first.stop() == 0
            # Well before the 15 s after which a silent leader counts as gone.
            wait_for(lambda: holder(local_cluster) == "second", 8, "the second to lead")
            second.wait_ready()
            servings.create("after")
            servings.wait_ready("after")
    assert "Traceback" not in first.said()
    assert holder(local_cluster) == ""


def test_a_leader_that_dies_is_followed_when_its_lease_has_expired(
    servings: Servings, installation: Installation, local_cluster: LocalCluster
) -> None:
    short = {"LEASE_SECONDS": "3"}
    with OperatorProcess(installation, "first", settings=short) as first:
        first.wait_ready()
        with OperatorProcess(installation, "second", settings=short) as second:
            second.wait_ready("standby")
            first.kill()
            servings.create("orphan")
            second.wait_ready()
            servings.wait_ready("orphan")
            assert holder(local_cluster) == "second"


def test_a_leader_whose_lease_is_taken_ends(installation: Installation, local_cluster: LocalCluster) -> None:
    with OperatorProcess(installation, "first", settings={"LEASE_SECONDS": "4"}) as first:
        first.wait_ready()
        taken = {"spec": {"holderIdentity": "somebody-else", "leaseDurationSeconds": 4}}
        local_cluster.request("PATCH", LEASE, taken, "application/merge-patch+json")
        assert first.process.wait(15) == 1
        assert "LeaseLostError" in first.said()
    local_cluster.request("DELETE", LEASE)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"WORKERS": "none"}, "MODELSERVING_WORKERS", id="a value that is no number"),
        pytest.param({"WORKRES": "3"}, "MODELSERVING_WORKRES: there is no such setting", id="a setting misspelt"),
    ],
)
def test_settings_that_are_wrong_end_it_before_it_begins(
    installation: Installation, settings: dict[str, str], said: str
) -> None:
    with OperatorProcess(installation, settings=settings) as operator:
        assert operator.process.wait(20) != 0
        assert said in operator.said()
        assert "Traceback" not in operator.said()


# As deep as Python's own parser does not follow; the API server takes 10,000 levels.
LEVELS = 3_000


def test_objects_that_no_parser_follows_keep_nobody_from_being_served(
    servings: Servings, installation: Installation, kubectl: Callable[..., str], tmp_path: Path
) -> None:
    """Whoever may write an object may write its managed fields, nested as deep as they like."""
    fields = '{"f:spec":' + '{"f:a":' * LEVELS + "{}" + "}" * LEVELS + "}"
    specs = {
        (
            "modelserving.dev/v1alpha1",
            "ModelServing",
        ): '{"model": "Qwen/Qwen2.5-0.5B-Instruct", "pod": {"affinity": %s}}',
        ("v1", "Pod"): '{"containers": [{"name": "c", "image": "i", "resources": %s}]}',
    }

    def post(version: str, kind: str) -> None:
        entry = f'{{"manager": "deep", "operation": "Update", "apiVersion": "{version}", "fieldsType": "FieldsV1", "fieldsV1": {fields}}}'
        metadata = f'{{"name": "deep", "managedFields": [{entry}]}}'
        spec = specs[version, kind] % ('{"a":' * LEVELS + "1" + "}" * LEVELS)
        file = tmp_path / f"{kind}.json"
        file.write_text(f'{{"apiVersion": "{version}", "kind": "{kind}", "metadata": {metadata}, "spec": {spec}}}')
        root = "api" if "/" not in version else "apis"
        kubectl(
            "create", "--raw", f"/{root}/{version}/namespaces/{servings.namespace}/{kind.lower()}s", "-f", str(file)
        )

    try:
        with OperatorProcess(installation) as operator:
            operator.wait_ready()
            for version, kind in specs:
                post(version, kind)
            reason = ("get", "msv", "deep", "-o", "jsonpath={.status.reason}")
            wait_for(lambda: kubectl(*reason) == "PodsReady", 30, "the deep one to be served")
            servings.create("beside")
            servings.wait_ready("beside")
        with OperatorProcess(installation) as operator:
            operator.wait_ready()
            servings.create("after")
            servings.wait_ready("after")
    finally:
        # The tests' own client would not get over it either.
        kubectl("delete", "msv/deep", "pod/deep", "--ignore-not-found", "--grace-period=0", "--force")
