"""The reference of all fields, as Markdown, from the same schema the API server enforces."""

from collections.abc import Iterator

from modelserving.api.crd import generate_schema
from modelserving.api.modelserving import API_VERSION, GROUP, KIND, PLURAL, SHORT_NAME
from modelserving.api.reasons import ConditionType, Reason
from modelserving.api.structural import Schema

_HEAD = f"""# Reference: {KIND}

`apiVersion: {API_VERSION}`, `kind: {KIND}`; `kubectl get {SHORT_NAME}`, in full `kubectl get {PLURAL}.{GROUP}`.
This page is generated from the models in `operator/modelserving/api`.

A field is honoured or refused with its name, never ignored. What `kubectl apply` refuses, `modelserving plan -f` refuses offline too.
"""


def reference_markdown() -> str:
    """Return the page: every field of spec and status with type, default and meaning, then conditions and reasons."""
    schema = generate_schema()["properties"]
    parts = [_HEAD]
    for name in ("spec", "status"):
        parts.extend(_sections(name, schema[name]))
    parts.append(_reasons())
    return "\n".join(parts)


def _sections(path: str, node: Schema) -> Iterator[str]:
    """Write one table for an object, then one for each object inside it."""
    required = node.get("required", ())
    rows = [
        f"| `{name}`{' (required)' if name in required else ''} | {_type(child)} | {_default(child)} | {_text(child)} |"
        for name, child in node["properties"].items()
    ]
    rules = [f"- {rule['message']}" for rule in node.get("x-kubernetes-validations", ())]
    lines = [f"## `{path}`", "", node.get("description", ""), "", "| Field | Type | Default | Meaning |"]
    lines += ["| --- | --- | --- | --- |", *rows, ""]
    yield "\n".join(lines + (["Refused otherwise:", "", *rules, ""] if rules else []))
    for name, child in node["properties"].items():
        inner, suffix = (child["items"], "[]") if child.get("type") == "array" else (child, "")
        # A fragment's fields are Kubernetes' own, which its reference describes.
        if any("description" in field for field in inner.get("properties", {}).values()):
            yield from _sections(f"{path}.{name}{suffix}", inner)


def _type(node: Schema) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("x-kubernetes-int-or-string"):
        return "size"
    if node["type"] == "array":
        return f"list of {_type(node['items'])}"
    if "additionalProperties" in node:
        return f"map of {_type(node['additionalProperties'])}"
    bounds = [str(node[bound]) for bound in ("minimum", "maximum") if bound in node]
    return f"{node['type']}, {' to '.join(bounds)}" if len(bounds) == 2 else str(node["type"])


def _default(node: Schema) -> str:
    if "default" not in node:
        return ""
    default = node["default"]
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _text(node: Schema) -> str:
    limits = {
        "maxLength": "at most {} characters",
        "maxItems": "at most {} items",
        "maxProperties": "at most {} entries",
    }
    notes = [text.format(node[name]) for name, text in limits.items() if name in node]
    description = node.get("description", "").replace("|", "\\|")
    return f"{description} ({'; '.join(notes)})" if notes else description


def _reasons() -> str:
    conditions = ", ".join(f"`{condition}`" for condition in ConditionType)
    reasons = "\n".join(f"- `{reason}`" for reason in Reason)
    return (
        f"## Conditions and reasons\n\n`status.conditions` holds {conditions}. Reasons the operator gives; a refusal by the engine, or "
        f"metadata that could not be read, brings a reason of its own:\n\n{reasons}\n"
    )
