"""A plan as text and back: the annotation on the workload by which a plan stays in force across restarts.

`{"version": 1, "digest": …, "plan": {…}}`. The digest covers the plan, so that a text which was edited by hand, cut off or written by
another version is no plan at all: a new one is made.
"""

import dataclasses
import hashlib
import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from modelserving.planning.plan import Plan

VERSION = 1
# All annotations of an object together may have 256 KiB (apimachinery, validation.TotalAnnotationSizeLimitB): a quarter is ours.
LONGEST_RECORD = 64 * 1024
# Given up in this order when a record grows too long: what explains before what decides.
_EXPENDABLE = ("alternatives", "rejected", "notes")


def to_json(plan: Plan) -> str:
    """Write a plan, in less than 64 KiB: the explanations are cut from their ends where they would not go in."""
    text = _write(plan)
    for name in _EXPENDABLE:
        while len(text.encode()) >= LONGEST_RECORD and getattr(plan, name):
            kept = getattr(plan, name)
            plan = dataclasses.replace(plan, **{name: kept[: len(kept) // 2]})
            text = _write(plan)
    return text


def from_json(text: str) -> Plan | None:
    """Read a plan, None if the text is not one that `to_json` of this version wrote."""
    try:
        record = json.loads(text)
        if not isinstance(record, dict) or record.get("version") != VERSION:
            return None
        body = record.get("plan")
        if record.get("digest") != _digest(body):
            return None
        return _adapter().validate_python(body)
    except (ValueError, ValidationError, RecursionError):
        return None


def _write(plan: Plan) -> str:
    body = json.loads(_adapter().dump_json(plan))
    return _compact({"version": VERSION, "digest": _digest(body), "plan": body})


def _digest(body: Any) -> str:
    return hashlib.sha256(_compact(body).encode()).hexdigest()[:16]


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
