import copy
from typing import Any

import pytest

from modelserving.cluster.eligibility import obstacle
from modelserving.cluster.nodes import node_facts
from modelserving.render.scheduling import affinity, tolerations

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
DEMAND = {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["NVIDIA-L40S"]}
ZONE_A = {"key": "zone", "operator": "In", "values": ["a"]}
ZONE_B = {"key": "zone", "operator": "In", "values": ["b"]}
BY_NAME = {"key": "metadata.name", "operator": "In", "values": ["n1"]}


def _terms(*terms: dict[str, Any]) -> dict[str, Any]:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no wish": ({}, _terms({"matchExpressions": [DEMAND]})),
    "alternatives each get the demand": (
        _terms({"matchExpressions": [ZONE_A]}, {"matchExpressions": [ZONE_B]}),
        _terms({"matchExpressions": [ZONE_A, DEMAND]}, {"matchExpressions": [ZONE_B, DEMAND]}),
    ),
    "a term by fields": (
        _terms({"matchFields": [BY_NAME]}),
        _terms({"matchFields": [BY_NAME], "matchExpressions": [DEMAND]}),
    ),
    "the rest stays": (
        {"podAntiAffinity": {"x": 1}, "nodeAffinity": {"preferred": 2}},
        {
            "podAntiAffinity": {"x": 1},
            "nodeAffinity": {"preferred": 2, REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [DEMAND]}]}},
        },
    ),
}


@pytest.mark.parametrize(("theirs", "merged"), CASES.values(), ids=CASES)
def test_the_product_is_demanded_on_top_of_the_users_affinity(theirs: dict[str, Any], merged: dict[str, Any]) -> None:
    before = copy.deepcopy(theirs)
    assert affinity(theirs, "NVIDIA-L40S") == merged
    assert theirs == before


@pytest.mark.parametrize(
    ("product", "zone", "goes"), [("NVIDIA-L40S", "a", True), ("NVIDIA-L40S", "c", False), ("Tesla-T4", "a", False)]
)
def test_planning_reads_the_merged_affinity_as_the_scheduler_would(product: str, zone: str, goes: bool) -> None:
    labels = {"nvidia.com/gpu.product": product, "nvidia.com/gpu.memory": "46068", "zone": zone}
    node = node_facts({"metadata": {"name": "n", "labels": labels}, "status": {"allocatable": {"nvidia.com/gpu": "4"}}})
    merged = affinity(_terms({"matchExpressions": [ZONE_A]}, {"matchExpressions": [ZONE_B]}), "NVIDIA-L40S")
    assert (obstacle(node, affinity=merged) == "") is goes


def test_gpu_nodes_are_tolerated_whatever_the_taint_says() -> None:
    ours = {"key": "nvidia.com/gpu", "operator": "Exists"}
    theirs = {"key": "dedicated", "operator": "Equal", "value": "ml"}
    assert tolerations([]) == [ours]
    assert tolerations([theirs, dict(ours)]) == [ours, theirs]
