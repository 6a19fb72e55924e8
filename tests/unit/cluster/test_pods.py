"""What a pod takes of its node, as the scheduler counts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.pods import pod_requests
from modelserving.units import GIB


def container(
    gpus: str | None = None, cpu: str | None = None, memory: str | None = None, **more: Any
) -> dict[str, Any]:
    requests = {"nvidia.com/gpu": gpus, "cpu": cpu, "memory": memory}
    return {"resources": {"requests": {key: value for key, value in requests.items() if value is not None}}} | more


def pod(*containers: dict[str, Any], init: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "n", "labels": {"modelserving.dev/name": "llava"}},
        "spec": {"nodeName": "a", "containers": list(containers), "initContainers": init or []} | more,
        "status": {"phase": "Running"},
    }


def test_containers_add_up() -> None:
    taken = pod_requests(pod(container("2", "500m", "1Gi"), container("1", "1", "2Gi")))
    assert taken is not None
    assert (taken.gpus, taken.cpu_millis, taken.memory_bytes) == (3, 1500, 3 * GIB)
    assert (taken.node, taken.owner) == ("a", "n/llava")


def test_an_init_container_counts_only_where_it_takes_more_than_the_containers() -> None:
    small, large = container(memory="1Gi"), container(memory="8Gi")
    assert _memory(pod(container(memory="4Gi"), init=[small])) == 4 * GIB
    assert _memory(pod(container(memory="4Gi"), init=[large])) == 8 * GIB


def test_a_sidecar_counts_beside_the_containers_and_later_init_containers() -> None:
    sidecar = container(memory="1Gi", restartPolicy="Always")
    assert _memory(pod(container(memory="4Gi"), init=[sidecar])) == 5 * GIB
    assert _memory(pod(container(memory="4Gi"), init=[sidecar, container(memory="8Gi")])) == 9 * GIB


def test_limits_stand_in_for_requests_and_overhead_is_added() -> None:
    limited = {"resources": {"limits": {"nvidia.com/gpu": "4"}}}
    taken = pod_requests(pod(limited, overhead={"memory": "1Gi"}))
    assert taken is not None
    assert (taken.gpus, taken.memory_bytes) == (4, GIB)


@pytest.mark.parametrize(
    "change", [{"spec": {}}, {"status": {"phase": "Succeeded"}}, {"status": {"phase": "Failed"}}, {"spec": None}]
)
def test_pods_that_are_not_bound_or_have_finished_take_nothing(change: dict[str, Any]) -> None:
    nobodys = {"metadata": {"name": "p", "namespace": "n"}}
    assert pod_requests(pod(container("1")) | nobodys | change) is None


def test_a_pod_of_ours_counts_before_it_is_bound_and_takes_of_no_node() -> None:
    waiting = pod(container("1"))
    del waiting["spec"]["nodeName"]
    taken = pod_requests(waiting)
    assert taken is not None
    assert (taken.node, taken.owner, taken.gpus) == ("", "n/llava", 1)
    assert pod_requests(waiting | {"status": {"phase": "Failed"}}) is None


def test_every_kind_of_gpu_is_counted_by_its_own_resource() -> None:
    mixed = {
        "resources": {
            "limits": {"nvidia.com/mig-3g.40gb": "2", "nvidia.com/gpu": 1, "amd.com/gpu": "0", "nvidia.com/other": "3"},
            "requests": {"ephemeral-storage": "5Gi"},
        }
    }
    taken = pod_requests(pod(mixed, container("1"), init=[{"resources": {"requests": {"gpu.intel.com/xe": "1"}}}]))
    assert taken is not None
    assert taken.devices == (("gpu.intel.com/xe", 1), ("nvidia.com/gpu", 2), ("nvidia.com/mig-3g.40gb", 2))
    assert (taken.gpus, taken.ephemeral_bytes, taken.pods) == (5, 5 * GIB, 1)


def test_amounts_that_are_no_quantities_count_as_nothing() -> None:
    taken = pod_requests(pod(container("many", "-1", "x")))
    assert taken is not None
    assert (taken.gpus, taken.cpu_millis, taken.memory_bytes) == (0, 0, 0)


def _memory(manifest: dict[str, Any]) -> int:
    taken = pod_requests(manifest)
    assert taken is not None
    return taken.memory_bytes


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


@given(json_values, json_values, json_values)
def test_any_json_is_read_without_an_exception(containers: Any, resources: Any, labels: Any) -> None:
    taken = pod_requests(
        {
            "metadata": {"labels": labels},
            "spec": {"nodeName": "a", "containers": containers, "initContainers": [{"resources": resources}]},
        }
    )
    assert taken is not None
    assert taken.gpus == 0
