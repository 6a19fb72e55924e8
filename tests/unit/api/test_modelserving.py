from copy import deepcopy
from typing import Any

import pytest

from api_cases import ACCEPTED, REFUSED, Refused, manifest
from modelserving.api.modelserving import KvCachePrecision, ModelServing, ModelServingSpec, Precision, Replan, Variant
from modelserving.api.problems import parse_serving


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refuses_with_the_field_and_what_to_do(case: Refused) -> None:
    found = parse_serving(manifest(case.spec))
    assert isinstance(found, tuple)
    fitting = [problem for problem in found if problem.path.startswith(case.field)]
    assert fitting, f"nothing about {case.field}: {found}"
    # Faults of type are told in other words than the API server's: it says "integer", a person is told "whole number".
    words = {"integer": "whole number", "boolean": "true or false"}.get(case.words, case.words)
    assert any(words in problem.message for problem in fitting)


@pytest.mark.parametrize("case", [case for case in REFUSED.values() if case.words], ids=lambda case: case.field)
def test_a_fault_is_told_once(case: Refused) -> None:
    found = parse_serving(manifest(case.spec))
    assert isinstance(found, tuple)
    assert len(found) == 1


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(spec: dict[str, Any]) -> None:
    parsed = parse_serving(manifest(spec))
    assert isinstance(parsed, ModelServing)
    assert parsed.metadata.name == "case"


def test_only_model_is_required_and_the_rest_has_defaults() -> None:
    spec = ModelServingSpec(model="a/b")
    assert (spec.revision, spec.precision, spec.concurrency, spec.replicas) == ("main", Precision.AUTO, 1, 1)
    assert (spec.kv_cache_precision, spec.replan, spec.plan_only) == (KvCachePrecision.AUTO, Replan.NEVER, False)
    assert spec.context_length is None
    assert spec.offload.cpu_per_gpu == "0"


def test_a_size_written_as_a_number_is_the_same_as_text() -> None:
    parsed = parse_serving(manifest({"offload": {"cpuPerGPU": 16}}))
    assert isinstance(parsed, ModelServing)
    assert parsed.spec.offload.cpu_per_gpu == "16"


def test_enumerations_arrive_as_enumerations() -> None:
    variant = Variant.model_validate({"precision": "int4", "model": "a/b"})
    assert variant.precision is Precision.INT4


def test_status_and_foreign_metadata_are_passed_over() -> None:
    stored = manifest({})
    stored["metadata"] |= {"uid": "u", "generation": 3, "managedFields": [{"manager": "kubectl"}], "namespace": "team"}
    stored["status"] = {"conditions": "whatever"}
    before = deepcopy(stored)
    parsed = parse_serving(stored)
    assert isinstance(parsed, ModelServing)
    assert (parsed.metadata.uid, parsed.metadata.generation, parsed.metadata.namespace) == ("u", 3, "team")
    assert stored == before


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"apiVersion": "v1"}, "apiVersion"),
        ({"kind": "Deployment"}, "kind"),
        ({"spec": None}, "spec"),
        ({"spec": "text"}, "spec"),
        ({"specification": {}}, "specification"),
        ({"metadata": {"name": "Not A Name"}}, "metadata.name"),
        ({"metadata": {}}, "metadata.name"),
    ],
)
def test_refuses_what_is_no_modelserving(changed: dict[str, Any], path: str) -> None:
    found = parse_serving({**manifest({}), **changed})
    assert isinstance(found, tuple)
    assert [problem.path for problem in found] == [path]


def test_a_spec_survives_being_written_and_read() -> None:
    spec = ModelServingSpec.model_validate({"model": "a/b", **ACCEPTED["everything"]})
    assert ModelServingSpec.model_validate(spec.model_dump(mode="json", by_alias=True)) == spec
