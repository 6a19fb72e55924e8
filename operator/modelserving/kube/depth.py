"""JSON that is nested deeper than any object of Kubernetes, read all the same.

Everybody who may write an object may write its managed fields, and the API server keeps them up to 10,000 levels deep. Python's parser
follows to about 1,000 levels, pydantic's to 200: with one such object no LIST and no WATCH of its kind could be read any more. What is
deeper than anything that means something is read as null.
"""

import json
import re
from typing import Any

from pydantic_core import from_json

# The deepest that Kubernetes' types and their managed fields go is about 30.
DEEPEST = 100
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]')


def read_json(raw: bytes) -> Any:
    """Decode JSON, null in place of what is too deep.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return from_json(raw)
    except ValueError:
        shallow = cut(raw.decode(errors="replace"))
        return from_json(shallow)


def cut(text: str) -> str:
    """Put null in place of every list and object that lies deeper than `DEEPEST`."""
    kept, depth, done = [], 0, 0
    for found in _STRING_OR_BRACKET.finditer(text):
        mark = found.group()
        if mark in ("{", "["):
            depth += 1
            if depth == DEEPEST + 1:
                kept += [text[done : found.start()], "null"]
        elif mark in ("}", "]"):
            depth -= 1
            if depth == DEEPEST:
                done = found.end()
    return "".join((*kept, text[done:]))


class ShallowDecoder(json.JSONDecoder):
    """Reads null in place of what is too deep for Python's stack."""

    def decode(self, s: str, *args: Any) -> Any:
        """Decode a document."""
        try:
            return super().decode(s, *args)
        except RecursionError:
            return super().decode(cut(s), *args)


def read_anything() -> None:
    """Let `json.loads` of this process, which kopf and aiohttp read the API server's answers with, follow no document too deep."""
    # No parameter of kopf's reaches its decoder; the name has been the standard library's since Python 2.6.
    json._default_decoder = ShallowDecoder()  # type: ignore[attr-defined]
