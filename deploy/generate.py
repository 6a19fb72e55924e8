#!/usr/bin/env python3
"""Write the files that are made from the sources: `make generate`, or `python deploy/generate.py [--check]`.

* crds/, and the chart's copy: from the models in operator/modelserving/api.
* docs/reference.md: the same models and the operator's settings.
* charts/modelserving/values.schema.json: the part about the settings.
* deploy/operator.yaml: the chart, rendered by helm (`localcluster.helm()`, fetched once).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "operator"), str(ROOT / "deploy" / "local")]

from pydantic.alias_generators import to_camel  # noqa: E402

from localcluster import helm  # noqa: E402
from modelserving.api.crd import crd_yaml  # noqa: E402
from modelserving.api.reference import reference_markdown  # noqa: E402
from modelserving.settings import ENVIRONMENT_PREFIX, Settings  # noqa: E402

CHART = ROOT / "charts" / "modelserving"
CRD_FILE = "modelservings.modelserving.dev.yaml"
RELEASE = "modelserving"
NAMESPACE = "modelserving-system"
COMMAND = "make generate"
# The chart gives these to each replica by itself.
SET_BY_CHART = frozenset(("namespace", "identity", "http_host"))

_NAMESPACE_MANIFEST = f"""\
# Generated from charts/modelserving by `{COMMAND}`. Do not edit.
#
#   kubectl apply --server-side -f deploy/operator.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""


def reference() -> str:
    """Return docs/reference.md: the resource's fields, then the operator's settings."""
    rows = [
        f"| `{to_camel(name)}` | `{ENVIRONMENT_PREFIX}{name.upper()}` | `{json.dumps(default)}` | {field['description']} |"
        for name, field in Settings.model_json_schema()["properties"].items()
        for default in [Settings.model_fields[name].get_default(call_default_factory=True)]
    ]
    head = [
        "## Settings of the operator",
        "",
        "Environment variables of `modelserving operator`; in the chart they are keys of `settings`, but for "
        + ", ".join(f"`{to_camel(name)}`" for name in sorted(SET_BY_CHART))
        + ", which it sets itself.",
        "",
        "| In the chart | Environment variable | Default | Meaning |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([reference_markdown(), *head, *rows, ""])


def settings_schema() -> dict[str, Any]:
    """Return the JSON schema of the chart's `settings`."""
    schema = Settings.model_json_schema()
    properties = {
        to_camel(name): _standing_alone(field, schema.get("$defs", {}))
        for name, field in schema["properties"].items()
        if name not in SET_BY_CHART
    }
    properties["httpPort"]["minimum"] = 1  # the pod states the port, so it cannot be any free one
    return {
        "type": "object",
        "description": "Settings of the operator; what is left out keeps the operator's own default.",
        "additionalProperties": False,
        "properties": properties,
    }


def _standing_alone(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema without titles, with what it refers to put in its place."""
    if isinstance(schema, list):
        return [_standing_alone(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _standing_alone(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    # A property may be called `title` too: then it is a schema, and no text.
    return {
        keyword: _standing_alone(value, definitions)
        for keyword, value in schema.items()
        if keyword != "title" or not isinstance(value, str)
    }


def values_schema() -> str:
    """Return values.schema.json with its part about the settings renewed."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    schema["properties"]["settings"] = settings_schema()
    return json.dumps(schema, indent=2) + "\n"


def plain_manifests() -> str:
    """Return deploy/operator.yaml: the chart as it is without values of one's own, for `kubectl apply`."""
    command = [str(helm()), "template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--include-crds"]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    foreign = ("# Source: ", "    helm.sh/chart: ", "    app.kubernetes.io/managed-by: Helm")
    lines = [line.rstrip() for line in rendered.splitlines() if not line.startswith(foreign)]
    return _NAMESPACE_MANIFEST + "\n".join(lines) + "\n"


GENERATED: Mapping[Path, Callable[[], str]] = {
    ROOT / "crds" / CRD_FILE: crd_yaml,
    CHART / "crds" / CRD_FILE: crd_yaml,
    ROOT / "docs" / "reference.md": reference,
    CHART / "values.schema.json": values_schema,
    ROOT / "deploy" / "operator.yaml": plain_manifests,
}


def main() -> int:
    """Write all files that changed; with --check only name them, and exit with 1 if there are any."""
    parser = argparse.ArgumentParser(description="Write the files that are made from the sources.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    check = parser.parse_args().check
    stale = []
    for path, generate in GENERATED.items():
        text = generate()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
