"""What tests against the local control plane share. One cluster per run; a namespace of its own for each test."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest

from cluster.faultproxy import FaultProxy
from localcluster import ApiError, LocalCluster, many_nodes, node_set
from localcluster import wait_for as wait_until
from localcluster.toolchain import programs

HERE = Path(__file__).parent
SECOND_H100_NODE = "h100-80gb-x8-more"

Answer = TypeVar("Answer")


class WaitFor(Protocol):
    """The type of the `wait_for` fixture."""

    def __call__(self, condition: Callable[[], Answer], timeout: float = 30.0, message: str = "") -> Answer: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile the control plane, where that has not been done, outside of any test's time-out and in sight."""
    wanted = any(item.path.is_relative_to(HERE) for item in session.items)
    if wanted and not session.config.option.collectonly:
        capture: Any = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            programs()


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[LocalCluster]:
    """A running cluster: the `mixed` node set and a second node of 8 H100.

    It is shared by all tests: what is not in a namespace (nodes, ClusterRoles, CRDs) is put back by whoever changes it.
    """
    second = many_nodes(node_set("h100-80gb-x8"), 1, SECOND_H100_NODE)
    with LocalCluster.start(nodes=[node_set("mixed"), second]) as cluster:
        yield cluster


@pytest.fixture
def namespace(local_cluster: LocalCluster) -> Iterator[str]:
    """A fresh namespace, deleted afterwards."""
    name = f"test-{uuid4().hex[:8]}"
    local_cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    # Not left to the namespace's controller: it remembers for good that a kind it met before its CRD was served has nothing to delete
    # (k8s.io/kubernetes pkg/controller/namespace/deletion, operationNotSupportedCache).
    with suppress(ApiError):
        local_cluster.request("DELETE", f"/apis/modelserving.dev/v1alpha1/namespaces/{name}/modelservings")
    local_cluster.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def kubectl(local_cluster: LocalCluster, namespace: str) -> Callable[..., str]:
    """`LocalCluster.kubectl` in the test's namespace."""

    def run(*args: str, **options: Any) -> str:
        return local_cluster.kubectl("--namespace", namespace, *args, **options)

    return run


@pytest.fixture
def wait_for() -> WaitFor:
    """`localcluster.wait_for(condition, timeout, message)`: ask until true, and fail with the last answer."""
    return wait_until


@pytest.fixture
def fault_proxy(local_cluster: LocalCluster) -> Iterator[FaultProxy]:
    """A proxy before the shared cluster's API server that has faults on command."""
    with FaultProxy(local_cluster) as proxy:
        yield proxy
