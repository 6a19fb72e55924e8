"""Fields of config.json: type and range are checked, and the message names the field."""

from typing import Any

import pytest

from modelserving.models.fields import Fields, InvalidFieldError, show

SHOWN: dict[str, tuple[Any, str]] = {
    "true": (True, "true"),
    "null": (None, "null"),
    "a number": (12, "12"),
    "a number too long to write": (10**5000, "a number of 16610 bits"),
    "infinity": (float("inf"), "inf"),
    "a text": ("text", "'text'"),
    "a long text": ("x" * 100, "'" + "x" * 60 + "…'"),
    "an object": ({"a": 1}, "an object"),
    "a list": ([1], "a list"),
    "anything else": (1j, "a complex"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_any_value_is_shown_short(name: str) -> None:
    value, shown = SHOWN[name]
    assert show(value) == shown


def test_defaults_stand_in_for_absent_and_null() -> None:
    fields = Fields({"a": None})
    assert fields.whole("a", 3) == 3
    assert fields.number("a", 0.5, 0, 1) == 0.5
    assert fields.flag("b", default=True)
    assert fields.text("a", "x") == "x"
    assert fields.texts("a") == ()
    assert fields.optional_whole("a") is None
    assert fields.part("a") is None
    assert fields.has("a")
    assert not fields.has("b")
    assert fields.wholes("a", 7, 0, 9) == (7,)


def test_whole_floats_are_whole_numbers() -> None:
    assert Fields({"a": 4096.0}).whole("a") == 4096


@pytest.mark.parametrize(
    ("method", "value", "arguments"),
    [
        ("whole", 1.5, ()),
        ("whole", False, ()),
        ("whole", 0, ()),
        ("whole", 2**31, ()),
        ("number", "1", (0.0, 0.0, 1.0)),
        ("number", True, (0.0, 0.0, 1.0)),
        ("number", float("nan"), (0.0, 0.0, 1.0)),
        ("flag", 1, ()),
        ("text", 1, ()),
        ("texts", ["a", 1], ()),
        ("part", [], ()),
        ("required_part", None, ()),
        ("wholes", [1, "2"], (0, 0, 9)),
    ],
)
def test_anything_else_is_refused_by_name(method: str, value: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidFieldError, match=r"^config\.field"):
        getattr(Fields({"field": value}, "config"), method)("field", *arguments)
