"""Reading the audit log for the bench. The lines are as the API server writes them; what it really writes is read in cluster tests."""

import json
from pathlib import Path

from bench.trail import Trail, counted

OPERATOR = "system:serviceaccount:modelserving-system:modelserving-operator"


def line(
    verb: str, resource: str, name: str, user: str = OPERATOR, subresource: str | None = None, second: int = 0
) -> str:
    event = {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": user},
        "objectRef": {"resource": resource, "name": name, "subresource": subresource},
        "requestReceivedTimestamp": f"2026-11-01T00:00:{second:02d}.000000Z",
        "stageTimestamp": f"2026-11-01T00:00:{second:02d}.250000Z",
        "responseStatus": {"code": 200},
    }
    return json.dumps(event) + "\n"


def test_only_writes_are_kept_and_leases_do_not_count(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(
        line("get", "deployments", "a")
        + line("patch", "deployments", "a")
        + line("update", "leases", "operator")
        + line("patch", "modelservings", "a", subresource="status")
        + line("create", "pods", "p", user="system:kube-scheduler")
    )
    assert [each.resource for each in Trail(log).by(OPERATOR)] == ["deployments", "modelservings/status"]


def test_what_is_added_is_read_once_and_half_a_line_waits(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    trail = Trail(log)
    assert trail.writes() == []
    whole = line("patch", "services", "b", second=5)
    log.write_text(line("patch", "deployments", "a") + whole[:20])
    assert [each.name for each in trail.writes()] == ["a"]
    with log.open("a") as more:
        more.write(whole[20:])
    assert [each.name for each in trail.writes()] == ["a", "b"]


def test_times_are_the_server_s(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(line("patch", "deployments", "a", second=1) + line("patch", "deployments", "b", second=9))
    first, second = Trail(log).writes()
    assert first.answered - first.received == 0.25
    assert [each.name for each in Trail(log).by(OPERATOR, since=second.received)] == ["b"]


def test_counts_are_told_most_frequent_first(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(line("create", "events", "") + line("patch", "services", "a") * 2)
    assert counted(Trail(log).writes()) == "2 patch services, 1 create events"
    assert counted([]) == "nothing"
