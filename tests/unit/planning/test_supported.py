"""Fields that are not acted on yet are refused by name, never ignored."""

from typing import Any

import pytest

from modelserving.api.modelserving import ModelServingSpec
from modelserving.planning.supported import unsupported


def spec(**fields: Any) -> ModelServingSpec:
    return ModelServingSpec.model_validate({"model": "a/b"} | fields)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"model": "pvc://claim/path"}, "spec.model"),
        ({"variants": [{"precision": "int4", "model": "pvc://claim"}]}, "spec.variants"),
    ],
)
def test_a_field_that_is_not_acted_on_is_refused_by_name(fields: dict[str, Any], names: str) -> None:
    refused = unsupported(spec(**fields), allow_host_path=True)
    assert refused is not None
    assert refused.reason == "NotYetSupported"
    assert names in refused.message


def test_all_such_fields_are_named_at_once() -> None:
    variants = [{"precision": "int4", "model": "pvc://claim"}]
    refused = unsupported(spec(model="pvc://claim/path", variants=variants), allow_host_path=True)
    assert refused is not None
    assert "spec.model" in refused.message
    assert "spec.variants" in refused.message


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"replan": "Never"},
        {"replan": "Always"},
        {"replan": "WhenUnschedulable"},
        {"gpu": {"pipelineParallelSize": 2}},
        {"fallbacks": ["fp8", "cpuOffload"]},
        {"planOnly": True},
    ],
)
def test_what_is_acted_on_passes(fields: dict[str, Any]) -> None:
    assert unsupported(spec(**fields), allow_host_path=False) is None


def test_a_folder_of_the_node_needs_the_permission_of_the_operators_settings() -> None:
    asked = spec(cache={"hostPath": {"path": "/models"}})
    refused = unsupported(asked, allow_host_path=False)
    assert refused is not None
    assert refused.reason == "NotAllowedBySettings"
    assert "MODELSERVING_ALLOW_HOST_PATH" in refused.message
    assert unsupported(asked, allow_host_path=True) is None
