"""Which nodes a pod may go to, as the scheduler says."""

from dataclasses import replace
from typing import Any

import pytest

from modelserving.cluster.eligibility import labels_asked, obstacle
from modelserving.cluster.pools import NODE_NAME
from modelserving.cluster.snapshot import GpuDevice, NodeFacts, Taint

NODE = NodeFacts("a", labels={"pool": "gpu", "rank": "7"})


def required(*expressions: dict[str, Any], fields: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    term = {"matchExpressions": list(expressions)} | ({"matchFields": fields} if fields else {})
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (NodeFacts("a", ready=False), "not ready"),
        (NodeFacts("a", schedulable=False), "cordoned"),
        (NodeFacts("a", devices=(GpuDevice("nvidia.com/gpu", 8, problem="labels lie"),)), "labels lie"),
    ],
)
def test_a_node_that_takes_no_pods_says_why(node: NodeFacts, says: str) -> None:
    assert says in obstacle(node)


def test_a_node_selector_must_match() -> None:
    assert obstacle(NODE, [("pool", "gpu")]) == ""
    assert "label pool" in obstacle(NODE, [("pool", "cpu")])


@pytest.mark.parametrize(
    ("taint", "tolerations", "passes"),
    [
        (Taint("x", "1"), [], False),
        (Taint("x", "1", "PreferNoSchedule"), [], True),
        (Taint("nvidia.com/gpu", "present"), [], True),
        (Taint("x", "1"), [{"key": "x", "value": "1"}], True),
        (Taint("x", "1"), [{"key": "x", "operator": "Equal", "value": "2"}], False),
        (Taint("x", "1"), [{"key": "x", "operator": "Exists"}], True),
        (Taint("x", "1"), [{"operator": "Exists"}], True),
        (Taint("x", "1"), [{"key": "y", "operator": "Exists"}], False),
        (Taint("x", "1", "NoExecute"), [{"key": "x", "value": "1", "effect": "NoSchedule"}], False),
    ],
)
def test_taints_need_tolerations(taint: Taint, tolerations: list[dict[str, Any]], passes: bool) -> None:
    assert (obstacle(NodeFacts("a", taints=(taint,)), (), tolerations) == "") is passes


@pytest.mark.parametrize(
    ("affinity", "passes"),
    [
        (None, True),
        ({}, True),
        ({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}, True),
        (required({"key": "pool", "operator": "In", "values": ["gpu", "other"]}), True),
        (required({"key": "pool", "operator": "NotIn", "values": ["gpu"]}), False),
        (required({"key": "none", "operator": "NotIn", "values": ["gpu"]}), True),
        (required({"key": "pool", "operator": "Exists"}, {"key": "none", "operator": "DoesNotExist"}), True),
        (required({"key": "none", "operator": "Exists"}), False),
        (required({"key": "rank", "operator": "Gt", "values": ["6"]}), True),
        (required({"key": "rank", "operator": "Lt", "values": ["6"]}), False),
        (required({"key": "pool", "operator": "Gt", "values": ["6"]}), False),
        (required({"key": "pool", "operator": "Bogus"}), False),
        (required(fields=[{"key": "metadata.name", "operator": "In", "values": ["a"]}]), True),
        (required(fields=[{"key": "metadata.name", "operator": "In", "values": ["b"]}]), False),
    ],
)
def test_required_node_affinity_must_match(affinity: dict[str, Any] | None, passes: bool) -> None:
    assert (obstacle(NODE, affinity=affinity) == "") is passes


ASKED: dict[str, tuple[tuple[tuple[str, str], ...], dict[str, Any] | None, frozenset[str]]] = {
    "nothing": ((), None, frozenset()),
    "a selector": ((("pool", "gpu"),), None, frozenset({"pool"})),
    "an affinity": ((), required({"key": "rank", "operator": "Exists"}), frozenset({"rank"})),
    "the name of a node": (
        (),
        required(fields=[{"key": "metadata.name", "operator": "In", "values": ["a"]}]),
        frozenset({NODE_NAME}),
    ),
    "a preference": ((), {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}, frozenset()),
}


@pytest.mark.parametrize(("selector", "affinity", "labels"), ASKED.values(), ids=ASKED)
def test_only_labels_that_are_asked_for_matter(
    selector: tuple[tuple[str, str], ...], affinity: dict[str, Any] | None, labels: frozenset[str]
) -> None:
    assert labels_asked(selector, affinity) == labels
    kept = {key: value for key, value in NODE.labels.items() if key in labels}
    assert obstacle(NODE, selector, (), affinity) == obstacle(replace(NODE, labels=kept), selector, (), affinity)
