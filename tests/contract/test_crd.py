"""The CustomResourceDefinition: structural by the rules of Kubernetes, complete, and the committed copies fresh."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from modelserving.api.crd import crd_yaml, generate_crd
from modelserving.api.modelserving import ModelServing, ModelServingSpec
from modelserving.api.problems import parse_serving
from modelserving.api.status import ModelServingStatus
from modelserving.engine.versions import DEFAULT_ENGINE_VERSION
from modelserving.settings import Settings

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "deploy" / "samples").glob("*.yaml"))
VERSION = generate_crd()["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]

ALLOWED = {
    *("type", "description", "properties", "required", "items", "additionalProperties", "enum", "default", "format"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"),
    *("minProperties", "maxProperties", "x-kubernetes-int-or-string", "x-kubernetes-list-type"),
    *("x-kubernetes-list-map-keys", "x-kubernetes-validations"),
}


def generator() -> ModuleType:
    """Load deploy/generate.py, which is a script and no part of a package."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "deploy" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk all nodes of a schema, with their paths."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            yield from nodes(node[keyword], f"{path}[{keyword}]")


# Pieces of a pod: Kubernetes' own fields, of which the definition states the types alone.
FRAGMENTS = (
    *(".spec.engine.env[items].valueFrom", ".spec.pod.tolerations", ".spec.pod.affinity", ".spec.pod.resources"),
    *(".spec.pod.volumes", ".spec.pod.volumeMounts"),
)
ALL_NODES = dict(nodes(SCHEMA))
OURS = {
    path: node for path, node in ALL_NODES.items() if not any(path.startswith((f"{at}.", f"{at}[")) for at in FRAGMENTS)
}
BELOW_SPEC = {path: node for path, node in OURS.items() if path.startswith(".spec")}


@pytest.mark.parametrize("path", ALL_NODES)
def test_a_node_is_structural(path: str) -> None:
    node = ALL_NODES[path]
    assert node.keys() <= ALLOWED
    assert ("type" in node) != bool(node.get("x-kubernetes-int-or-string"))
    if node.get("type") == "array":
        assert "items" in node
        assert node["x-kubernetes-list-type"] in {"atomic", "set", "map"}
    if "properties" in node:
        assert set(node.get("required", ())) <= node["properties"].keys()
        assert "additionalProperties" not in node
    if keys := node.get("x-kubernetes-list-map-keys"):
        item = node["items"]
        assert all(key in item["required"] or "default" in item["properties"][key] for key in keys)


def test_every_field_has_a_description() -> None:
    bare = [
        f"{path}.{name}"
        for path, node in OURS.items()
        for name, child in node.get("properties", {}).items()
        if f"{path}.{name}" in OURS and not child.get("description") and f"{path}.{name}" != ".metadata"
    ]
    assert bare == []


def test_nothing_is_deeper_than_the_definition_says() -> None:
    """A part of any depth would take the stack of whoever reads it: the operator could not read its list any more."""
    open_ended = [
        path
        for path, node in ALL_NODES.items()
        if node.get("type") == "object" and not {"properties", "additionalProperties"} & node.keys()
    ]
    assert open_ended == [".metadata"]
    assert all(fragment in ALL_NODES for fragment in FRAGMENTS)


def test_no_rule_looks_into_a_fragment() -> None:
    """Their lists have no bounds that the API server could estimate the cost of a rule from."""
    assert [path for path, node in ALL_NODES.items() if path not in OURS and "x-kubernetes-validations" in node] == []


def test_descriptions_are_sentences() -> None:
    described = [text for node in ALL_NODES.values() if (text := node.get("description"))]
    assert [text for text in described if not text.endswith((".", "1/1.")) or "  " in text] == []


def test_every_text_and_list_of_the_spec_is_bounded() -> None:
    """The API server estimates the cost of a rule from these bounds, and refuses the definition without them."""
    bounds = {"string": "maxLength", "array": "maxItems"}
    unbounded = [
        path
        for path, node in BELOW_SPEC.items()
        if (bound := bounds.get(node.get("type", ""))) and bound not in node and "enum" not in node
    ]
    assert unbounded == []


def test_every_whole_number_of_the_spec_has_both_bounds() -> None:
    integers = {path: node for path, node in BELOW_SPEC.items() if node.get("type") == "integer"}
    assert ".spec.contextLength" in integers
    assert [path for path, node in integers.items() if not {"minimum", "maximum"} <= node.keys()] == []


def test_every_rule_has_a_message_for_people() -> None:
    rules = [rule for node in ALL_NODES.values() for rule in node.get("x-kubernetes-validations", ())]
    assert rules
    assert [rule for rule in rules if len(rule["message"].split()) < 4 or rule["rule"] in rule["message"]] == []


def test_defaults_are_the_contract_and_nothing_else() -> None:
    """Defaults are written into every object that is stored, and so into everybody's differences."""
    defaults = {path: node["default"] for path, node in BELOW_SPEC.items() if "default" in node}
    assert defaults == {
        ".spec.revision": "main",
        ".spec.precision": "auto",
        ".spec.variants[items].revision": "main",
        ".spec.concurrency": 1,
        ".spec.kvCachePrecision": "auto",
        ".spec.replicas": 1,
        ".spec.offload.cpuPerGPU": "0",
        ".spec.huggingFace.tokenSecretRef.key": "token",
        ".spec.replan": "Never",
        ".spec.planOnly": False,
    }


def test_only_the_model_is_required() -> None:
    assert SCHEMA["required"] == ["spec"]
    assert SCHEMA["properties"]["spec"]["required"] == ["model"]


def test_columns_of_kubectl_get() -> None:
    columns = [column["name"] for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    assert columns == ["Model", "Precision", "GPUs", "TP", "Ready", "Reason", "Age"]


@pytest.mark.parametrize(
    "path",
    [
        *(column["jsonPath"] for column in VERSION["additionalPrinterColumns"]),
        *VERSION["subresources"]["scale"].values(),
        *(field["jsonPath"] for field in VERSION["selectableFields"]),
    ],
)
def test_every_path_leads_to_a_field(path: str) -> None:
    assert path in ALL_NODES or path == ".metadata.creationTimestamp"


def test_names() -> None:
    names = generate_crd()["spec"]["names"]
    assert names["shortNames"] == ["msv"]
    assert names["categories"] == ["all"]
    assert generate_crd()["metadata"]["name"] == f"{names['plural']}.{generate_crd()['spec']['group']}"


@pytest.mark.parametrize("model", [ModelServingSpec, ModelServingStatus])
def test_the_schema_has_every_field_of_the_models(model: type[ModelServingSpec] | type[ModelServingStatus]) -> None:
    part = ".spec" if model is ModelServingSpec else ".status"
    assert set(ALL_NODES[part]["properties"]) == {field.alias for field in model.model_fields.values()}


def test_the_yaml_says_the_same_and_has_no_anchors() -> None:
    assert yaml.safe_load(crd_yaml()) == generate_crd()
    assert not re.search(r"(?m)(: |- )[&*]\w", crd_yaml())


@pytest.mark.parametrize(
    "name", ["crds", "charts/modelserving/crds", "docs/reference.md", "charts/modelserving/values.schema.json"]
)
def test_generated_files_are_fresh(name: str) -> None:
    module = generator()
    paths = [path for path in module.GENERATED if path.is_relative_to(ROOT / name)]
    assert paths
    for path in paths:
        fresh = path.read_text(encoding="utf-8") == module.GENERATED[path]()
        assert fresh, f"{path.relative_to(ROOT)} is out of date: run `{module.COMMAND}`"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_are_valid(path: Path) -> None:
    serving = parse_serving(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert isinstance(serving, ModelServing), [str(problem) for problem in serving]
    assert path.stem == serving.metadata.name


def test_samples_cover_the_ways_to_serve() -> None:
    assert {path.name for path in SAMPLES} >= {
        *("llava.yaml", "llama.yaml", "qwen2-fp8.yaml", "qwen2-awq.yaml", "cpu-offload.yaml")
    }


def test_the_version_that_settings_name_is_one_the_engine_knows() -> None:
    assert Settings().engine_version == DEFAULT_ENGINE_VERSION
