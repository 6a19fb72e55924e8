"""JSON that is nested deeper than any parser here follows."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.kube.depth import DEEPEST, cut, read_anything, read_json

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def nested(levels: int, inner: str = "1") -> str:
    """Objects in objects, the outermost the first level."""
    return '{"a":' * levels + inner + "}" * levels


@pytest.fixture
def anything() -> Iterator[None]:
    before = json._default_decoder  # type: ignore[attr-defined]  # what is put back is what the standard library has there
    read_anything()
    yield
    json._default_decoder = before  # type: ignore[attr-defined]


@given(values, st.booleans())
def test_what_is_not_too_deep_is_read_as_it_is(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert cut(text) == text
    assert read_json(text.encode()) == value


@pytest.mark.parametrize("brackets", ["{}", "[]"])
@pytest.mark.parametrize("levels", [DEEPEST + 1, 250, 1_500, 10_000])
def test_what_is_too_deep_is_null_and_the_rest_is_there(levels: int, brackets: str, anything: None) -> None:
    start, end = ('{"a":', "}") if brackets == "{}" else ("[", "]")
    text = f'{{"before": "}}{{]\\"", "deep": {start * levels}1{end * levels}, "after": [1, {start * levels}{end * levels}, 2]}}'
    if brackets == "{}":
        text = text.replace('"a":}', '"a":0}')
    for found in (read_json(cut(text).encode()), read_json(text.encode()), json.loads(text)):
        assert found["before"] == '}{]"'
        assert found["after"][0::2] == [1, 2]
        inside, depth = found["deep"], 1
        while inside is not None and inside != 1:
            (inside,) = inside.values() if isinstance(inside, dict) else inside
            depth += 1
        # What a parser follows by itself stays as it is.
        assert (inside, depth) == (None, DEEPEST) if levels > 900 else inside in (None, 1)


def test_the_deepest_that_is_kept() -> None:
    assert cut(nested(DEEPEST)) == nested(DEEPEST)
    assert cut(nested(DEEPEST + 1)) == nested(DEEPEST, "null")


@pytest.mark.parametrize("text", ["", "{", "[1, }", nested(300)[:-1], "}" * 300, '{"a": "b'])
def test_what_is_no_json_is_said_to_be_none(text: str, anything: None) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text.encode())
    with pytest.raises(ValueError, match=r"."):
        json.loads(text)
