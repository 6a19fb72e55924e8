"""What all models of the API share."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelserving.units import QuantityError, parse_quantity


class ApiModel(BaseModel):
    """A part of the resource: camelCase outside, unknown fields refused, immutable."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


def _quantity(text: str) -> str:
    try:
        if parse_quantity(text) < 0:
            raise ValueError(f"{text!r} is negative")
    except QuantityError as error:
        raise ValueError(str(error)) from error
    return text


# apimachinery/pkg/api/resource/quantity.go, without a sign: sizes here are never negative.
QUANTITY_PATTERN = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[mkMGTPE]|[eE][+-]?[0-9]{1,2})?$"

Quantity = Annotated[
    str,
    Field(max_length=32, json_schema_extra={"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN}),
    AfterValidator(_quantity),
]


def cel(rule: str, message: str, **more: str) -> dict[str, Any]:
    """One rule for `x-kubernetes-validations`, with a message for people."""
    return {"rule": rule, "message": message, **more}
