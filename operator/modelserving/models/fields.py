"""Fields of an untrusted config.json, read with their type and range checked.

Nothing here trusts the content: numbers may be texts, negative, infinite or thousands of digits long.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

# No size in a model's config comes near: larger numbers are mistakes, and would make every product meaningless.
LARGEST_SIZE = 2**31 - 1
_LONGEST_SHOWN = 60


class InvalidFieldError(ValueError):
    """A field of config.json does not hold what it must; caught where a checkpoint is read."""


def show(value: object) -> str:
    """Write a value for a message, short whatever it is."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 128 else f"a number of {value.bit_length()} bits"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "…")
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, Sequence) else f"a {type(value).__name__}"


class Fields:
    """Typed access to one JSON object.

    Defaults stand in for keys that are absent or null, the way transformers' config classes fill them in.
    """

    def __init__(self, content: Mapping[str, Any], path: str = "") -> None:
        self._content = content
        self._path = path

    def having(self, **fields: Any) -> "Fields":
        """The same object with fields set."""
        return Fields({**self._content, **fields}, self._path)

    def or_else(self, defaults: Mapping[str, Any]) -> "Fields":
        """The same object with fields that it lacks, or has as null, set."""
        return Fields(
            {**self._content, **{key: value for key, value in defaults.items() if self.raw(key) is None}}, self._path
        )

    def name(self, key: str) -> str:
        """Full name of a field, for messages."""
        return f"{self._path}.{key}" if self._path else key

    def raw(self, key: str) -> Any:
        """Value as it stands; None where there is none."""
        return self._content.get(key)

    def names(self) -> tuple[str, ...]:
        """Keys that are there and are texts."""
        return tuple(key for key in self._content if isinstance(key, str))

    def renamed(self, names: Mapping[str, str]) -> "Fields":
        """The same fields under other names too, given as (name asked for, name as written); what is there already counts."""
        more = {
            new: self._content[old] for new, old in names.items() if new not in self._content and old in self._content
        }
        return Fields({**self._content, **more}, self._path)

    def replaced(self, values: Mapping[str, Any]) -> "Fields":
        """The same with some fields set otherwise."""
        return Fields({**self._content, **values}, self._path)

    def has(self, key: str) -> bool:
        """Whether the key is there, null or not."""
        return key in self._content

    def fail(self, key: str, expected: str) -> InvalidFieldError:
        """Error that says what a field holds and what it must hold."""
        return InvalidFieldError(f"{self.name(key)} is {show(self.raw(key))} and must be {expected}")

    def whole(self, key: str, default: int | None = None, low: int = 1, high: int = LARGEST_SIZE) -> int:
        """A whole number between low and high.

        Raises:
            InvalidFieldError: absent without a default, no whole number, or out of range.
        """
        value = self.raw(key)
        if value is None:
            if default is None:
                raise InvalidFieldError(f"{self.name(key)} is missing")
            return default
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.fail(key, f"a whole number from {low} to {high}")
        return value

    def wholes(self, key: str, default: int, low: int, high: int) -> tuple[int, ...]:
        """One whole number or a list of them.

        Raises:
            InvalidFieldError: anything else, an empty list, or a number out of range.
        """
        value = self.raw(key)
        if not isinstance(value, list | tuple):
            return (self.whole(key, default, low, high),)
        if not value:
            raise self.fail(key, "a whole number or a list of them that is not empty")
        items = Fields({f"{key}[{index}]": item for index, item in enumerate(value)}, self._path)
        return tuple(items.whole(f"{key}[{index}]", low=low, high=high) for index in range(len(value)))

    def indices(self, key: str, count: int) -> tuple[int, ...]:
        """A list of indices below count; empty where the key is absent or null.

        Raises:
            InvalidFieldError: no list, or an index out of range.
        """
        value = self.raw(key)
        if value is None or value == []:
            return ()
        if not isinstance(value, list | tuple):
            raise self.fail(key, "a list of whole numbers")
        return self.wholes(key, 0, low=0, high=max(count - 1, 0))

    def indices_marked(self, key: str, count: int) -> tuple[int, ...]:
        """Indices below count at which a list has a 1.

        Raises:
            InvalidFieldError: no list of 0 and 1, or one that is too short.
        """
        marks = self.wholes(key, 0, low=0, high=1)
        if len(marks) < count:
            raise self.fail(key, f"a list of at least {count} entries")
        return tuple(index for index in range(count) if marks[index])

    def optional_whole(self, key: str, low: int = 1) -> int | None:
        """A whole number, or None where the key is absent or null.

        Raises:
            InvalidFieldError: no whole number, or out of range.
        """
        return None if self.raw(key) is None else self.whole(key, low=low)

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """A finite number between low and high.

        Raises:
            InvalidFieldError: no number, or out of range.
        """
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.fail(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false.

        Raises:
            InvalidFieldError: anything else.
        """
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fail(key, "true or false")
        return value

    def text(self, key: str, default: str = "") -> str:
        """A text.

        Raises:
            InvalidFieldError: anything else.
        """
        value = self.raw(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.fail(key, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where the key is absent or null.

        Raises:
            InvalidFieldError: anything else.
        """
        value = self.raw(key)
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, "a list of texts")
        return tuple(value)

    def part(self, key: str) -> "Fields | None":
        """A nested object, or None where the key is absent or null.

        Raises:
            InvalidFieldError: anything else.
        """
        value = self.raw(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.fail(key, "an object")
        return Fields(value, self.name(key))

    def required_part(self, key: str) -> "Fields":
        """A nested object.

        Raises:
            InvalidFieldError: absent, or no object.
        """
        part = self.part(key)
        if part is None:
            raise InvalidFieldError(f"{self.name(key)} is missing")
        return part
