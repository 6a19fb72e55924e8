"""Two statuses -> the events between them: one when a condition takes another status or reason, none while it stays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelserving.api.reasons import ConditionType, Reason

# events.k8s.io: `note` has at most 1 kB (kubernetes/pkg/apis/core/validation/events.go, NoteLengthLimit).
LONGEST_EVENT_BYTES = 1024
_ELLIPSIS = "…"
# Worth no event when nothing was told before: every new resource starts so.
_STILL = {
    ConditionType.AVAILABLE: "False",
    ConditionType.PROGRESSING: "False",
    ConditionType.DEGRADED: "False",
}
_BAD = {(ConditionType.PLANNED, "False"), (ConditionType.AVAILABLE, "False"), (ConditionType.DEGRADED, "True")}
# What the user asked for is no warning.
_AS_ASKED = (Reason.SCALED_TO_ZERO, Reason.PLAN_ONLY)


@dataclass(frozen=True, slots=True)
class EventToPost:
    """An event on the ModelServing."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def transitions(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> tuple[EventToPost, ...]:
    """List the events between two statuses, in the order of the conditions, each reason once.

    A plan that is replaced by another one is a transition of Planned even where its reason stays.
    """
    before, after = _conditions(old or {}), _conditions(new)
    replanned = bool(_decision(old or {})) and _decision(old or {}) != _decision(new)
    events: dict[str, EventToPost] = {}
    for kind in ConditionType:
        condition = after.get(kind)
        if condition is None:
            continue
        changed = _state(before.get(kind)) != _state(condition)
        started = kind in before or condition["status"] != _STILL.get(kind)
        if (changed and started) or (kind is ConditionType.PLANNED and replanned and condition["status"] == "True"):
            event = _event(kind, condition)
            if event is not None:
                events.setdefault(event.reason, event)
    return tuple(events.values())


def _event(kind: ConditionType, condition: Mapping[str, Any]) -> EventToPost | None:
    status, reason = str(condition["status"]), str(condition["reason"])
    if status == "Unknown":
        return None
    stalled = kind is ConditionType.PROGRESSING and reason == Reason.STALLED
    bad = stalled or ((kind, status) in _BAD and reason not in _AS_ASKED)
    return EventToPost("Warning" if bad else "Normal", reason, _cut(str(condition.get("message", ""))))


def _conditions(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    conditions = status.get("conditions")
    listed = conditions if isinstance(conditions, list) else []
    whole = (c for c in listed if isinstance(c, Mapping) and {"type", "status", "reason"} <= c.keys())
    return {str(condition["type"]): condition for condition in whole}


def _state(condition: Mapping[str, Any] | None) -> tuple[Any, Any] | None:
    return (condition["status"], condition["reason"]) if condition else None


def _decision(status: Mapping[str, Any]) -> str:
    plan = status.get("plan")
    return str(plan.get("decision", "")) if isinstance(plan, Mapping) else ""


def _cut(message: str) -> str:
    if len(message.encode()) <= LONGEST_EVENT_BYTES:
        return message
    kept = message.encode()[: LONGEST_EVENT_BYTES - len(_ELLIPSIS.encode())]
    return kept.decode(errors="ignore") + _ELLIPSIS
