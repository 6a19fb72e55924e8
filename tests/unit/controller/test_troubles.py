"""Which trouble of a workload's pods is told, and when."""

from modelserving.controller.troubles import Told, Troubles
from modelserving.render.troubles import Trouble

NOW, LATER = "2026-11-25T10:00:10Z", "2026-11-25T10:00:40Z"
UNPLACED = Trouble("PodUnschedulable", "no node", "2026-11-25T10:00:00Z")
FAILED = Trouble("EngineFailed", "it ended")


def test_a_pod_without_a_node_is_told_of_only_after_a_while() -> None:
    troubles = Troubles()
    assert troubles.put("u1", "ns/a", UNPLACED) == "ns/a"
    assert troubles.of("ns/a", NOW) == Told(None, 20.0)
    assert troubles.of("ns/a", LATER) == Told(UNPLACED)
    assert troubles.of("ns/b", LATER) == Told()


def test_what_failed_is_told_at_once() -> None:
    troubles = Troubles()
    troubles.put("u1", "ns/a", UNPLACED)
    troubles.put("u2", "ns/a", FAILED)
    assert troubles.of("ns/a", NOW).trouble == FAILED


def test_only_what_changes_concerns_anybody() -> None:
    troubles = Troubles()
    assert troubles.put("u1", "ns/a", None) == ""
    assert troubles.put("u1", "ns/a", FAILED) == "ns/a"
    assert troubles.put("u1", "ns/a", FAILED) == ""
    assert troubles.put("u1", "ns/a", None) == "ns/a"
    assert troubles.remove("u1") == ""
    troubles.put("u1", "ns/a", FAILED)
    assert troubles.remove("u1") == "ns/a"
    assert troubles.of("ns/a", NOW) == Told()


def test_a_list_replaces_what_is_known() -> None:
    troubles = Troubles()
    troubles.put("u1", "ns/a", FAILED)
    troubles.put("u2", "ns/b", FAILED)
    assert troubles.replace([("u2", "ns/b", FAILED), ("u3", "ns/c", UNPLACED)]) == {"ns/a", "ns/c"}
    assert troubles.of("ns/a", NOW) == Told()


def test_a_time_that_cannot_be_read_counts_as_long_ago() -> None:
    troubles = Troubles()
    odd = Trouble("PodUnschedulable", "no node", "yesterday")
    troubles.put("u1", "ns/a", odd)
    assert troubles.of("ns/a", NOW).trouble == odd
