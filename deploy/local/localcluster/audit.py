"""Reads the API server's audit log: how tests and measurements count what a program wrote.

The log is written before the answer is sent, so an event is there as soon as the request's answer is.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

POLICY = Path(__file__).with_name("audit-policy.yaml")
WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def audit_events(
    log: Path, since: datetime | None = None, user: str | None = None, writes_only: bool = False
) -> list[dict[str, Any]]:
    """Return the events of an audit log, oldest first, each as an `audit.k8s.io/v1` Event.

    Of use in them: `verb`, `user.username`, `userAgent`, `objectRef` (`apiGroup`, `resource`, `subresource`, `namespace`,
    `name`), `requestURI`, `responseStatus.code`, `requestReceivedTimestamp`, `stageTimestamp`.

    Args:
        log: the file; it need not exist.
        since: leave out requests received before this moment (with a time zone).
        user: only this user's, such as `system:serviceaccount:NAMESPACE:NAME`.
        writes_only: leave out what service accounts read.
    """
    return [
        event
        for event in _events(log)
        if (user is None or event["user"].get("username") == user)
        and (not writes_only or event["verb"] in WRITE_VERBS)
        and (since is None or datetime.fromisoformat(event["requestReceivedTimestamp"]) >= since)
    ]


def _events(log: Path) -> Iterator[dict[str, Any]]:
    if not log.exists():
        return
    with log.open() as lines:
        for line in lines:
            if line.endswith("\n"):  # the API server may be in the middle of the last one
                yield json.loads(line)
