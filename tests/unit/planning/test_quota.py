"""ResourceQuotas: a candidate that may never be made is none, and what is in the way for now is said."""

from modelserving.cluster.quotas import Amount, Quota
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.planning.plan import Plan, Rejection
from modelserving.planning.planner import plan
from planning_cases import H100, H200, L40S, busy, facts, node, request

GPUS = "requests.nvidia.com/gpu"


def quota(hard: int, used: int = 0, namespace: str = "default") -> Quota:
    return Quota(namespace, "team", {GPUS: Amount(hard, used)})


def decide(snapshot: ClusterSnapshot, model: str = "qwen2-72b", **fields: int) -> Plan | Rejection:
    asked = request(model, **{"context_length": 8192, **fields})
    return plan(asked, {asked.checkpoints[0].ref: facts(model)}, snapshot)


def test_what_a_quota_never_lets_be_made_is_refused_with_its_numbers() -> None:
    found = decide(ClusterSnapshot((node("a", H100),), quotas=(quota(1),)))
    assert isinstance(found, Rejection)
    assert found.reason == "QuotaExceeded"
    assert "ResourceQuota team of namespace default allows 1 of requests.nvidia.com/gpu" in found.message
    assert "4 × NVIDIA-H100-80GB-HBM3 would do" in found.message


def test_a_plan_within_the_quota_is_found_beside_one_that_is_not() -> None:
    nodes = (node("a", H100), node("b", H200, gpus=8))
    roomy, tight = (decide(ClusterSnapshot(nodes, (busy("b", 8),), quotas=found)) for found in ((), (quota(3),)))
    assert isinstance(roomy, Plan)
    assert isinstance(tight, Plan)
    assert roomy.placement.gpu_product == H100
    assert (tight.placement.gpu_product, tight.gpus_per_replica) == (H200, 2)


def test_a_quota_that_is_used_up_is_waited_for() -> None:
    used_up = ClusterSnapshot((node("a", L40S),), quotas=(quota(4, used=4),))
    found = decide(used_up, "llama31-8b")
    assert isinstance(found, Plan)
    assert found.placement.waiting.startswith("Waits for quota: ResourceQuota team of namespace default")


def test_own_pods_that_are_there_count_as_used_already() -> None:
    own = busy("", 1, owner="default/test")
    used_up = ClusterSnapshot((node("a", L40S),), (own,), quotas=(quota(4, used=4),))
    found = decide(used_up, "llama31-8b")
    assert isinstance(found, Plan)
    assert found.placement.waiting == ""


def test_quotas_of_other_namespaces_do_not_matter() -> None:
    found = decide(ClusterSnapshot((node("a", H100),), quotas=(quota(0, namespace="other"),)))
    assert isinstance(found, Plan)
    assert found.placement.waiting == ""
