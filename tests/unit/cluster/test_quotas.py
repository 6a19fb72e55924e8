"""ResourceQuotas: what they keep from being made, now or for ever."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.quotas import QuotaObstacle, quota_obstacle, quota_of
from modelserving.cluster.room import PodNeed
from modelserving.units import GIB

NEED = PodNeed(4, cpu_millis=5_000, memory_bytes=40 * GIB, ephemeral_bytes=20 * GIB)


def quota(hard: dict[str, Any], used: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "team", "namespace": "ml"},
        "spec": {"hard": hard} | spec,
        "status": {"hard": hard, "used": used or {}},
    }


def look(manifest: dict[str, Any], replicas: int = 1, **more: Any) -> QuotaObstacle | None:
    return quota_obstacle([quota_of(manifest)], "ml", NEED, replicas, **more)


HELD_BACK = {
    "GPUs, for ever": (
        quota({"requests.nvidia.com/gpu": "2"}),
        True,
        "ResourceQuota team of namespace ml allows 2 of requests.nvidia.com/gpu, and one replica needs 4: it can never start there.",
    ),
    "GPUs, none at all": (quota({"requests.nvidia.com/gpu": "0"}), True, "allows 0 of requests.nvidia.com/gpu"),
    "GPUs, now": (
        quota({"requests.nvidia.com/gpu": "8"}, {"requests.nvidia.com/gpu": "6"}),
        False,
        "allows 8 of requests.nvidia.com/gpu, 6 are used: 1 more replicas need 4 each, 2 are left now.",
    ),
    "CPU by its short name": (quota({"cpu": "4"}), True, "allows 4 of cpu, and one replica needs 5"),
    "CPU in millicores": (quota({"requests.cpu": "6500m"}, {"requests.cpu": "2"}), False, "allows 6.5 of requests.cpu"),
    "memory": (
        quota({"requests.memory": "32Gi"}),
        True,
        "allows 32.0 GiB of requests.memory, and one replica needs 40.0 GiB",
    ),
    "disk": (quota({"ephemeral-storage": "50Gi"}, {"ephemeral-storage": "45Gi"}), False, "5.0 GiB are left now"),
    "pods": (quota({"pods": "10"}, {"pods": "10"}), False, "allows 10 of pods, 10 are used"),
    "pods, none at all": (quota({"count/pods": "0"}), True, "allows 0 of count/pods"),
    "for ever before now": (
        quota({"pods": "1", "requests.nvidia.com/gpu": "3"}, {"pods": "1"}),
        True,
        "allows 3 of requests.nvidia.com/gpu",
    ),
}


@pytest.mark.parametrize(("manifest", "never", "says"), HELD_BACK.values(), ids=HELD_BACK)
def test_what_does_not_fit_is_told_with_numbers(manifest: dict[str, Any], never: bool, says: str) -> None:
    found = look(manifest)
    assert found is not None
    assert found.never is never
    assert says in found.message


PASSED = {
    "room enough": quota({"requests.nvidia.com/gpu": "8", "pods": "10"}, {"requests.nvidia.com/gpu": "4", "pods": "3"}),
    "another resource": quota({"requests.amd.com/gpu": "0", "services": "0", "limits.memory": "1Gi"}),
    "another namespace": quota({"pods": "0"}) | {"metadata": {"name": "x", "namespace": "other"}},
    "pods that end by themselves": quota({"pods": "0"}, scopes=["Terminating"]),
    "pods without requests": quota({"pods": "0"}, scopes=["BestEffort"]),
    "another priority": quota(
        {"pods": "0"},
        scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]},
    ),
    "a scope nobody knows": quota({"pods": "0"}, scopes=["CrossNamespacePodAffinity"]),
    "an amount that is none": quota({"pods": "none"}),
    "a scope that cannot be read": quota(
        {"pods": "0"},
        scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": 5}, 7]},
    ),
}


@pytest.mark.parametrize("manifest", PASSED.values(), ids=PASSED)
def test_what_is_not_its_business_is_let_pass(manifest: dict[str, Any]) -> None:
    assert look(manifest) is None


SCOPED = {
    "all that run on": ({"scopes": ["NotTerminating", "NotBestEffort"]}, ""),
    "a priority by name": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
        "high",
    ),
    "any priority": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}},
        "low",
    ),
    "no priority": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}},
        "",
    ),
    "all but one": (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "NotIn", "values": ["x"]}]}},
        "",
    ),
}


@pytest.mark.parametrize(("spec", "priority"), SCOPED.values(), ids=SCOPED)
def test_a_scope_that_the_pods_meet_holds_for_them(spec: dict[str, Any], priority: str) -> None:
    assert look(quota({"pods": "0"}, **spec), priority_class=priority) is not None


def test_replicas_that_run_already_are_not_counted_twice() -> None:
    manifest = quota({"requests.nvidia.com/gpu": "8"}, {"requests.nvidia.com/gpu": "8"})
    assert look(manifest, replicas=2, running=2) is None
    assert look(manifest, replicas=2, running=1) is not None


def test_some_replicas_are_better_than_none() -> None:
    found = look(quota({"requests.nvidia.com/gpu": "10"}), replicas=3)
    assert found == QuotaObstacle(
        False,
        "ResourceQuota team of namespace ml allows 10 of requests.nvidia.com/gpu: at most 2 of 3 replicas with 4 each.",
    )


def test_slices_have_quotas_of_their_own() -> None:
    manifest = quota({"requests.nvidia.com/gpu": "0", "requests.nvidia.com/mig-3g.40gb": "1"})
    assert quota_obstacle([quota_of(manifest)], "ml", PodNeed(1), 1, gpu_resource="nvidia.com/mig-3g.40gb") is None
    found = quota_obstacle([quota_of(manifest)], "ml", PodNeed(1), 2, gpu_resource="nvidia.com/mig-3g.40gb")
    assert found is not None
    assert not found.never


def test_limits_count_where_the_pods_have_any() -> None:
    manifest = quota({"limits.memory": "1Gi", "limits.cpu": "1"})
    assert look(manifest) is None
    found = look(manifest, limits=PodNeed(0, memory_bytes=64 * GIB))
    assert found is not None
    assert "limits.memory" in found.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


@given(json_values, json_values, json_values, json_values)
def test_any_json_is_read_without_an_exception(hard: Any, used: Any, scopes: Any, expressions: Any) -> None:
    read = quota_of(
        {
            "metadata": {"namespace": "ml"},
            "spec": {"hard": hard, "scopes": scopes, "scopeSelector": {"matchExpressions": expressions}},
            "status": {"used": used},
        }
    )
    quota_obstacle([read], "ml", NEED, 1)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 4), st.integers(0, 4))
def test_a_quota_lets_pass_exactly_what_it_has_room_for(hard: int, used: int, replicas: int, running: int) -> None:
    found = look(
        quota({"requests.nvidia.com/gpu": hard}, {"requests.nvidia.com/gpu": used}), replicas=replicas, running=running
    )
    missing = max(0, replicas - running)
    if found is None:
        assert missing * 4 <= max(0, hard - used)
    else:
        assert found.never is (hard < 4)
