"""Reading a resource, and saying in a person's words what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modelserving.api.modelserving import ModelServing

# Longest input that is shown back; longer ones are cut.
_LONGEST_SHOWN = 60
# Values under these fields may be secrets and are never shown.
_SECRET_FIELDS = frozenset(("env", "extraArgs", "annotations"))

_WORDS = {
    "extra_forbidden": "there is no such field",
    "missing": "is required",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a resource.

    Attributes:
        path: field, as the API names it: `spec.gpu.maxPerReplica`, `spec.variants[1].model`.
        message: what is wrong, and what to write instead.
    """

    path: str
    message: str

    def __str__(self) -> str:
        """Return `path: message`."""
        return f"{self.path}: {self.message}"


def parse_serving(manifest: Mapping[str, Any]) -> ModelServing | tuple[Problem, ...]:
    """Read a ModelServing as the API server would, or tell all that is wrong with it."""
    try:
        # By the names of the API only: a file with Python names would be refused at `kubectl apply`.
        return ModelServing.model_validate(manifest, by_alias=True, by_name=False)
    except ValidationError as error:
        return problems(error)


def problems(error: ValidationError) -> tuple[Problem, ...]:
    """Say what pydantic found, in the order of the fields."""
    return tuple(_problem(dict(detail)) for detail in error.errors(include_url=False))


def _problem(detail: dict[str, Any]) -> Problem:
    location = list(detail["loc"])
    if field := detail.get("ctx", {}).get("field"):
        location.append(field)
    message = _WORDS.get(detail["type"], detail["msg"].replace("Input should be", "must be"))
    return Problem(_path(location), message + _shown(location, detail))


def _path(location: list[int | str]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "the resource"


def _shown(location: list[int | str], detail: dict[str, Any]) -> str:
    value = detail.get("input")
    if detail["type"] == "extra_forbidden" or not isinstance(value, str | int | float) or _SECRET_FIELDS & {*location}:
        return ""
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return f"; got {text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}"
