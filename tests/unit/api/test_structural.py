from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from modelserving.api.structural import SchemaError, structural


def schema_of(annotation: Any, **default: Any) -> dict[str, Any]:
    """Return the structural schema of the only field of a model."""
    model = create_model("Model", field=(annotation, default.get("field", ...)))
    properties = structural(model.model_json_schema())["properties"]
    assert isinstance(properties, dict)
    field = properties["field"]
    assert isinstance(field, dict)
    return field


class Inner(BaseModel):
    """An inner part."""

    size: int = 8
    name: str | None = None


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, {"type": "integer"}),
        (int | None, {"type": "integer"}),
        (
            Annotated[int, Field(gt=0, lt=9)],
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": True},
        ),
        (Literal["only"], {"type": "string", "enum": ["only"]}),
        (list[str], {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"}),
        (dict[str, str], {"type": "object", "additionalProperties": {"type": "string"}}),
        (
            Annotated[str, Field(json_schema_extra={"x-kubernetes-int-or-string": True})],
            {"x-kubernetes-int-or-string": True},
        ),
    ],
)
def test_writes_what_a_definition_takes(annotation: Any, expected: dict[str, Any]) -> None:
    assert schema_of(annotation) == expected


def test_writes_a_reference_out_and_keeps_the_description_beside_it() -> None:
    written = schema_of(Annotated[Inner | None, Field(description="Here.")])
    assert written["description"] == "Here."
    assert written["properties"] == {"size": {"type": "integer", "default": 8}, "name": {"type": "string"}}


@pytest.mark.parametrize(
    ("annotation", "default"),
    [(str | None, None), (str, ""), (list[str], []), (dict[str, str], {}), (Inner, Inner())],
)
def test_drops_defaults_that_say_nothing_or_hide_others(annotation: Any, default: Any) -> None:
    assert "default" not in schema_of(annotation, field=default)


@pytest.mark.parametrize("default", [0, False, 1.5, "main"])
def test_keeps_defaults_that_are_scalars(default: Any) -> None:
    assert schema_of(type(default), field=default)["default"] == default


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        (int | str, "a choice of types"),
        (dict[str, Any], "free-form object"),
        (Any, "has no type"),
        (Annotated[int, Field(multiple_of=16)], "multipleOf"),
        (tuple[int, str], "prefixItems"),
        (list[Any], "has no type"),
    ],
)
def test_refuses_what_a_definition_cannot_say(annotation: Any, complaint: str) -> None:
    with pytest.raises(SchemaError, match=complaint):
        schema_of(annotation)


def test_the_complaint_names_the_resource_where_there_is_no_field() -> None:
    with pytest.raises(SchemaError, match="the resource: has no type"):
        structural({"description": "nothing"})
    with pytest.raises(SchemaError, match="the resource: oneOf"):
        structural({"type": "object", "oneOf": []})
