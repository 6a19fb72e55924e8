"""What all models of the API share: the base class, and rules that the API server and pydantic enforce alike.

A rule is stated twice, as CEL for the API server and as Python for the command line, in one object, so that the two cannot part:
what `kubectl apply` refuses, `modelserving plan -f` refuses offline with the same words.
"""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")
VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on a value: annotation of a field's type, or item of a model's `rules`.

    Attributes:
        cel: the condition for the API server, about `self`.
        message: for people: what is wrong and what to write instead.
        holds: the same condition in Python.
        field: field of a model that is at fault, as the API names it; the API server then names it too.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool]
    field: str = ""

    def check(self, value: T) -> T:
        """Return the value, or raise the error that pydantic reports."""
        if not self.holds(value):
            raise PydanticCustomError("rule", "{message}", {"message": self.message, "field": self.field})
        return value

    def as_json(self) -> dict[str, str]:
        """Return the item for `x-kubernetes-validations`."""
        rule = {"rule": self.cel, "message": self.message}
        return {**rule, "fieldPath": f".{self.field}"} if self.field else rule

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler(schema)
        return {**written, VALIDATIONS: [*written.get(VALIDATIONS, ()), self.as_json()]}


def pattern(expression: str, message: str) -> Rule:
    """Demand that the whole text matches; `expression` in the common part of RE2 and Python: no look-around, no classes by letter."""
    compiled = re.compile(expression, re.ASCII)
    return Rule(
        cel=f"self.matches(r'^(?:{expression})$')",
        message=message,
        holds=lambda value: compiled.fullmatch(value) is not None,
    )


@dataclass(frozen=True, slots=True)
class ListType:
    """How the API server merges a list and what it takes for a duplicate: `set`, or `map` by one key of the items."""

    kind: str
    key: str = ""

    def check(self, items: list[T]) -> list[T]:
        """Refuse the duplicates that the API server refuses."""
        seen: set[Hashable] = set()
        for item in items:
            identity = getattr(item, self.key) if self.key else item
            if identity in seen:
                raise PydanticCustomError("duplicate", "duplicate: {identity}", {"identity": str(identity)})
            seen.add(identity)
        return items

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        keys = {"x-kubernetes-list-map-keys": [self.key]} if self.key else {}
        return {**handler(schema), "x-kubernetes-list-type": self.kind, **keys}


class ApiModel(BaseModel):
    """A part of the resource: camelCase outside, unknown fields and foreign types refused, immutable.

    Attributes:
        rules: conditions across the fields of the model.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True)
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: nobody changes it, and pydantic would copy every default at every validation."""
        return self

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, data: Any) -> Any:
        """Take null for a field left out, as the API server does for fields that are not nullable."""
        if isinstance(data, Mapping):
            return {name: value for name, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _keep_rules(self) -> "ApiModel":
        for rule in self.rules:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        written = handler.resolve_ref_schema(handler(schema))
        if cls.rules:
            written[VALIDATIONS] = [rule.as_json() for rule in cls.rules]
        return written


# apimachinery/pkg/api/resource/quantity.go without a sign and without n and u: sizes here are bytes, never negative.
QUANTITY_PATTERN = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[mkMGTPE]|[eE][+-]?[0-9]{1,2})?"


def _whole_number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    Field(min_length=1, max_length=32, json_schema_extra={"x-kubernetes-int-or-string": True}),
    Rule(
        cel=f"type(self) == int ? self >= 0 : self.matches(r'^(?:{QUANTITY_PATTERN})$')",
        message="no size: write a number of bytes with a suffix, for example 16Gi or 500M; it cannot be negative",
        holds=lambda value: re.fullmatch(QUANTITY_PATTERN, value) is not None,
    ),
    BeforeValidator(_whole_number_as_text),
]
"""A size in bytes as Kubernetes writes it: `16Gi`, `500M`, or a whole number."""

LabelValue = Annotated[
    str,
    Field(max_length=63),
    pattern(
        r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?",
        "no label value: letters, digits, '.', '_' and '-', beginning and ending with a letter or digit, at most 63",
    ),
]
"""Value of a Kubernetes label: apimachinery/pkg/util/validation, IsValidLabelValue."""

# apimachinery/pkg/util/validation, IsQualifiedName: an optional DNS-1123 subdomain of at most 253, '/', a name of at most 63.
_KEY = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
QUALIFIED_KEYS = Rule(
    cel=f"self.all(key, key.matches(r'^(?:{_KEY})$'))",
    message="no label or annotation key: write name or domain/name, of letters, digits, '.', '_' and '-', "
    "each beginning and ending with a letter or digit; a name has at most 63 characters",
    holds=lambda entries: all(re.fullmatch(_KEY, key) for key in entries),
)
"""Keys as Kubernetes wants them for labels and annotations."""
