from typing import Any

import pytest

from modelserving.render.fragments import PodParts, read_fragments
from modelserving.render.problem import RenderProblem
from modelserving.render.resources import resources
from modelserving.units import GIB
from render_cases import plan, serving


def _resources(written: dict[str, Any], ephemeral: int = 146 * GIB) -> dict[str, Any] | RenderProblem:
    parts = read_fragments(serving(pod={"resources": written}).spec, allow_host_path=False)
    assert isinstance(parts, PodParts)
    return resources(plan(), ephemeral, parts)


PLANNED = {"cpu": "5", "memory": "14Gi", "ephemeral-storage": "146Gi", "nvidia.com/gpu": "4"}
GPUS = {"nvidia.com/gpu": "4"}
CASES: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = {
    "nothing said": ({}, PLANNED, GPUS),
    "other requests": ({"requests": {"cpu": 16, "memory": "64Gi"}}, PLANNED | {"cpu": "16", "memory": "64Gi"}, GPUS),
    "a CPU limit below the plan's request": ({"limits": {"cpu": "2"}}, PLANNED | {"cpu": "2"}, GPUS | {"cpu": "2"}),
    "a CPU limit above it": ({"limits": {"cpu": "64"}}, PLANNED, GPUS | {"cpu": "64"}),
    "a memory limit": ({"limits": {"memory": "32Gi"}}, PLANNED, GPUS | {"memory": "32Gi"}),
}


@pytest.mark.parametrize(("written", "requests", "limits"), CASES.values(), ids=CASES)
def test_requests_and_limits(written: dict[str, Any], requests: dict[str, str], limits: dict[str, str]) -> None:
    assert _resources(written) == {"requests": requests, "limits": limits}


def test_a_cache_elsewhere_asks_for_no_disk() -> None:
    rendered = _resources({}, ephemeral=0)
    assert isinstance(rendered, dict)
    assert "ephemeral-storage" not in rendered["requests"]


@pytest.mark.parametrize(("name", "least"), [("memory", "14Gi"), ("ephemeral-storage", "146Gi")])
def test_a_limit_below_the_plans_need_is_refused(name: str, least: str) -> None:
    problem = _resources({"limits": {name: "1Gi"}})
    assert isinstance(problem, RenderProblem)
    assert problem.reason == "InvalidSpec"
    assert f"spec.pod.resources.limits.{name}: 1Gi is below" in problem.message
    assert f"at least {least}" in problem.message
