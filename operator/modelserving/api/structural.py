"""From pydantic's JSON schema to the structural schema a CustomResourceDefinition takes.

A structural schema is OpenAPI 3.0 without references, where every node has a type (Kubernetes documentation, "Specifying a structural
schema"). What is not known to be allowed is an error here, not a surprise at the API server:

* `$ref` is written out; `X | None` becomes `X`, left out or given; `const` becomes an `enum` of one.
* numeric `exclusiveMinimum` (JSON Schema 2020-12) becomes `minimum` and a flag (OpenAPI 3.0).
* `additionalProperties: false` goes: the API server prunes unknown fields, or refuses them where strict validation is asked for.
* defaults stay only if they are scalars: they are written into every stored object. An empty text, list or object is the same as none, and
  a default object would hide the defaults of its own fields.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_SIZES = (f"{end}{what}" for end in ("min", "max") for what in ("Length", "Items", "Properties"))
_KEPT = frozenset(
    ("type", "description", "required", "enum", "format", "default", "pattern", "minimum", "maximum", *_SIZES)
)
_KUBERNETES = frozenset(
    f"x-kubernetes-{name}" for name in ("int-or-string", "list-map-keys", "list-type", "validations")
)
_DROPPED = frozenset(
    ("title", "examples", "$defs", "anyOf", "$ref", "const", "additionalProperties", "items", "properties")
)
_EXCLUSIVE = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


class SchemaError(ValueError):
    """A model of the API uses something that a CustomResourceDefinition cannot say."""


def structural(schema: Schema) -> Schema:
    """Turn the JSON schema of one pydantic model into a structural schema.

    Raises:
        SchemaError: the model uses something that a CustomResourceDefinition cannot say.
    """
    return _node(schema, schema.get("$defs", {}), "")


def shape(schema: Schema) -> Schema:
    """Of the JSON schema of one pydantic model, the types alone: neither what values may be nor what must be given.

    Raises:
        SchemaError: a part has no type, or one of several.
    """
    return _shape(schema, schema.get("$defs", {}), "")


def _shape(node: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    source = _flattened(node, definitions, path)
    if source.get("x-kubernetes-int-or-string"):
        return {"x-kubernetes-int-or-string": True}
    if "type" not in source:
        raise SchemaError(f"{path or 'the fragment'}: has no type")
    written: Schema = {"type": source["type"]}
    if "properties" in source:
        written["properties"] = {
            name: _shape(child, definitions, f"{path}.{name}") for name, child in source["properties"].items()
        }
    for keyword in ("items", "additionalProperties"):
        if isinstance(source.get(keyword), dict):
            written[keyword] = _shape(source[keyword], definitions, f"{path}[]")
    return written


def _node(node: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    source = _flattened(node, definitions, path)
    written: Schema = {}
    for keyword, value in source.items():
        if keyword in _EXCLUSIVE:
            written[_EXCLUSIVE[keyword]], written[keyword] = value, True
        elif keyword == "default" and (value == "" or not isinstance(value, str | int | float)):
            continue
        elif keyword in _KEPT or keyword in _KUBERNETES:
            written[keyword] = value
        elif keyword not in _DROPPED:
            raise SchemaError(f"{path or 'the resource'}: {keyword} has no place in a structural schema")
    if "const" in source:
        written["enum"] = [source["const"]]
    written.update(_children(source, definitions, path))
    if source.get("x-kubernetes-int-or-string"):
        written.pop("type", None)
    elif written.get("type") == "array":
        written.setdefault("x-kubernetes-list-type", "atomic")
    elif "type" not in written:
        raise SchemaError(f"{path or 'the resource'}: has no type")
    return written


def _children(source: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    written: Schema = {}
    if "properties" in source:
        written["properties"] = {
            name: _node(child, definitions, f"{path}.{name}") for name, child in source["properties"].items()
        }
    if "items" in source:
        items = _node(source["items"], definitions, f"{path}[]")
        if "properties" not in items:  # `kubectl explain` would print it after the description of the list
            items.pop("description", None)
        written["items"] = items
    values = source.get("additionalProperties", False)
    if isinstance(values, dict):
        written["additionalProperties"] = _node(values, definitions, f"{path}[*]")
    elif values:
        raise SchemaError(f"{path}: a free-form object could be of any depth, and take any reader's stack")
    return written


def _flattened(node: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    """Follow references and drop the null of an optional value; what stands beside a reference wins over it."""
    flat = dict(node)
    if "$ref" in flat:
        target = definitions[flat.pop("$ref").removeprefix("#/$defs/")]
        flat = {**_flattened(target, definitions, path), **flat}
    if "anyOf" in flat:
        choices = [choice for choice in flat.pop("anyOf") if choice != {"type": "null"}]
        if len(choices) != 1:
            raise SchemaError(f"{path}: a choice of types has no place in a structural schema")
        flat = {**_flattened(choices[0], definitions, path), **flat}
    return flat
