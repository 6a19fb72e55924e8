"""JSON from outside is read strictly, and nothing it holds ends in a traceback."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.hub.strict import StrictJSONError, read_object

REFUSED = {
    "a page": (b"\n <html></html>", "is HTML"),
    "nothing": (b"", "is no JSON"),
    "half an object": (b'{"a": 1', "is no JSON: .* at line 1, column"),
    "two objects": (b"{}{}", "is no JSON"),
    "bytes that are no text": (b'{"a": "\xff"}', "is not UTF-8"),
    "an array": (b"[]", "is a JSON array, not an object"),
    "a string": (b'"a"', "is a JSON string"),
    "a number": (b"1.5", "is a JSON number"),
    "a boolean": (b"true", "is a JSON boolean"),
    "null": (b"null", "is a JSON null"),
    "not a number": (b'{"a": NaN}', "holds NaN"),
    "infinity": (b'{"a": [-Infinity]}', "holds -Infinity"),
    "a key twice": (b'{"b": {"a": 1, "a": 1}}', "names 'a' twice"),
    "a number of ten thousand digits": (b'{"a": ' + b"1" * 10_000 + b"}", "absurd length"),
    "nesting beyond reason": (b'{"a":' * 70 + b"1" + b"}" * 70, "nested deeper than 64"),
    "nesting beyond Python's stack": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested deeper than 64"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused(sentence: str) -> None:
    text, why = REFUSED[sentence]
    with pytest.raises(StrictJSONError, match=why):
        read_object(text)


@given(
    st.dictionaries(
        st.text(),
        st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5),
    )
)
def test_plain_objects_are_read_as_they_are(value: dict[str, Any]) -> None:
    assert read_object(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_bytes_give_an_object_or_a_reason(text: bytes) -> None:
    with suppress(StrictJSONError):
        assert isinstance(read_object(text), dict)
