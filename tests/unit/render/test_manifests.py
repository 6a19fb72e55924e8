from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.planning import record
from modelserving.render.digest import rendered_digest
from modelserving.render.manifests import RenderProblem, render
from modelserving.render.timing import timing
from render_cases import COMMIT, SETTINGS, placement, plan, serving


def _rendered(changes: dict[str, Any] | None = None, **resource: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    rendered = render(serving(**resource), plan(**changes or {}), SETTINGS)
    assert not isinstance(rendered, RenderProblem), rendered
    deployment, service = rendered
    return deployment, service


def test_both_objects_belong_to_the_resource_and_say_what_they_are() -> None:
    for manifest in _rendered(name="qwen2.72b", namespace="ml"):
        metadata = manifest["metadata"]
        assert (metadata["name"], metadata["namespace"]) == ("qwen2-72b", "ml")
        assert metadata["labels"]["modelserving.dev/name"] == "qwen2.72b"
        assert metadata["ownerReferences"] == [
            {
                "apiVersion": "modelserving.dev/v1alpha1",
                "kind": "ModelServing",
                "name": "qwen2.72b",
                "uid": "0d1f-uid",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]


def test_the_plan_comes_back_from_the_annotation() -> None:
    deployment, service = _rendered()
    assert record.from_json(deployment["metadata"]["annotations"]["modelserving.dev/plan"]) == plan()
    assert "modelserving.dev/plan" not in service["metadata"]["annotations"]
    assert "annotations" not in deployment["spec"]["template"]["metadata"]


def test_the_digest_is_of_the_rest() -> None:
    for manifest in _rendered():
        assert manifest["metadata"]["annotations"]["modelserving.dev/rendered"] == rendered_digest(manifest)


def test_the_service_finds_the_pods_and_only_them() -> None:
    deployment, service = _rendered()
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert service["spec"]["ports"] == [{"name": "http", "port": 8000, "protocol": "TCP", "targetPort": "http"}]


STRATEGIES: dict[str, tuple[int, int, int, tuple[int, int]]] = {
    "GPUs for one more: the new pod first": (1, 2, 1, (1, 0)),
    "GPUs for these replicas only: the old pod first": (1, 1, 1, (0, 1)),
    "no free GPUs at all": (1, 0, 0, (0, 1)),
    "several replicas with one to spare": (3, 4, 1, (1, 0)),
    "several replicas without": (3, 3, 3, (0, 1)),
    "more room only once the old pods are gone": (1, 2, 0, (0, 1)),
    "scaled to zero": (0, 1, 1, (1, 0)),
}


@pytest.mark.parametrize(("replicas", "free", "beside", "expected"), STRATEGIES.values(), ids=STRATEGIES)
def test_a_rollout_takes_no_gpu_that_is_not_there(
    replicas: int, free: int, beside: int, expected: tuple[int, int]
) -> None:
    deployment, _ = _rendered({"placement": placement(free_now=free, beside_now=beside)}, replicas=replicas)
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxSurge"], rolling["maxUnavailable"]) == expected
    assert deployment["spec"]["replicas"] == replicas


def test_a_rollout_counts_as_stalled_only_after_the_start_may_have_ended() -> None:
    deployment, _ = _rendered()
    assert deployment["spec"]["progressDeadlineSeconds"] > timing(plan().checkpoint_bytes, "0.32.0").startup


PROBLEMS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "a flag of ours": (
        {"engine": {"extraArgs": ["--tensor-parallel-size=3"]}},
        {},
        "FlagOwnedByOperator",
        "spec.engine.extraArgs[0]",
    ),
    "a flag vLLM has not": ({"engine": {"extraArgs": ["--nope"]}}, {}, "FlagUnknown", "--nope"),
    "several nodes": ({}, {"placement": placement(nodes_per_replica=2)}, "NotYetSupported", "on 2 nodes"),
    "the pod": ({"pod": {"affinity": {"foo": 1}}}, {}, "InvalidSpec", "spec.pod.affinity.foo"),
}


@pytest.mark.parametrize(("resource", "changes", "reason", "part"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(resource: dict[str, Any], changes: dict[str, Any], reason: str, part: str) -> None:
    problem = render(serving(**resource), plan(**changes), SETTINGS)
    assert isinstance(problem, RenderProblem)
    assert problem.reason == reason
    assert part in problem.message


@given(st.permutations(["b", "a", "c"]), st.permutations(["x/1", "y", "z"]))
def test_the_order_of_maps_changes_nothing(selectors: list[str], annotations: list[str]) -> None:
    pod = {"nodeSelector": dict.fromkeys(selectors, "v"), "annotations": dict.fromkeys(annotations, "v")}
    pod["labels"] = dict.fromkeys(selectors, "v")
    first, again = _rendered(pod=pod), _rendered(pod={k: dict(sorted(v.items())) for k, v in pod.items()})
    digests = [manifest["metadata"]["annotations"]["modelserving.dev/rendered"] for manifest in (first[0], again[0])]
    assert first == again
    assert digests[0] == digests[1]


def test_another_commit_is_another_digest() -> None:
    (first, _), (second, _) = _rendered(), _rendered({"revision": COMMIT[::-1]})
    assert rendered_digest(first) != rendered_digest(second)
