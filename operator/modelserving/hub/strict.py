"""JSON from outside, read strictly: what two readers could understand differently is refused."""

import json
from typing import Any

# Nesting deeper than any config.json of a model; Python's own limit would end in a traceback.
_DEEPEST = 64


class StrictJSONError(ValueError):
    """The text is no JSON object that can be relied on; the message says why, to be put after the name of the text."""


def read_object(text: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        StrictJSONError: the text is HTML, truncated, not UTF-8, no object, nested too deeply, names a key twice, or holds NaN or
            Infinity.
    """
    if text.lstrip()[:1] == b"<":
        raise StrictJSONError("is HTML, not JSON")
    try:
        parsed = json.loads(text.decode(), object_pairs_hook=_pairs, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise StrictJSONError("is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise StrictJSONError(f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise StrictJSONError(f"is nested deeper than {_DEEPEST} levels") from error
    except ValueError as error:
        # Own errors pass as they are; the rest are integers of thousands of digits.
        raise (
            error if isinstance(error, StrictJSONError) else StrictJSONError("holds a number of absurd length")
        ) from error
    if not isinstance(parsed, dict):
        raise StrictJSONError(f"is a JSON {_kind(parsed)}, not an object")
    if _depth(parsed) > _DEEPEST:
        raise StrictJSONError(f"is nested deeper than {_DEEPEST} levels")
    return parsed


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise StrictJSONError(f"names {twice[:80]!r} twice")
    return result


def _constant(name: str) -> Any:
    raise StrictJSONError(f"holds {name}, which is no JSON number")


def _kind(value: Any) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "null")


def _depth(value: Any) -> int:
    """Levels of nesting, counted without recursion."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
        ]
    return deepest
