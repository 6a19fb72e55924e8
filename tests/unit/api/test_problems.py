import pytest

from api_cases import manifest
from modelserving.api.problems import Problem, parse_serving


def told(spec: dict[str, object]) -> list[str]:
    found = parse_serving(manifest(spec))
    assert isinstance(found, tuple)
    return [str(problem) for problem in found]


def test_a_problem_reads_as_path_and_message() -> None:
    assert str(Problem("spec.gpu.maxPerReplica", "is too small")) == "spec.gpu.maxPerReplica: is too small"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"contextLength": 0}, "spec.contextLength: must be greater than or equal to 1; got 0"),
        ({"contextLength": "8k"}, "spec.contextLength: must be a whole number; got '8k'"),
        ({"planOnly": "yes"}, "spec.planOnly: must be true or false; got 'yes'"),
        ({"contextLength": True}, "spec.contextLength: must be a whole number; got true"),
        ({"gpu": {"memoryUtilization": "90%"}}, "spec.gpu.memoryUtilization: must be a number; got '90%'"),
        ({"contextLenght": 5}, "spec.contextLenght: there is no such field"),
        ({"fallbacks": "fp8"}, "spec.fallbacks: must be a list; got 'fp8'"),
        ({"gpu": 1}, "spec.gpu: must be a mapping; got 1"),
        ({"pod": {"affinity": 1}}, "spec.pod.affinity: must be a mapping; got 1"),
        ({"variants": [{"precision": "int4"}]}, "spec.variants[0].model: is required"),
        ({"gpu": {"products": ["A", "A"]}}, "spec.gpu.products: duplicate: A"),
    ],
)
def test_says_where_what_and_what_was_found(spec: dict[str, object], sentence: str) -> None:
    assert told(spec) == [sentence]


def test_tells_all_that_is_wrong() -> None:
    assert len(told({"contextLength": 0, "replicas": -1, "unknown": 1})) == 3


def test_names_the_field_a_rule_of_its_parent_is_about() -> None:
    (sentence,) = told({"gpu": {"tensorParallelSize": 4, "maxPerReplica": 2}})
    assert sentence.startswith("spec.gpu.maxPerReplica: ")


def test_cuts_what_is_long() -> None:
    (sentence,) = told({"model": "a" * 300})
    assert sentence.endswith("…")
    assert len(sentence) < 400


@pytest.mark.parametrize(
    "spec",
    [
        {"engine": {"env": [{"name": "TOKEN", "value": "secret" * 2000}]}},
        {"engine": {"extraArgs": ["--api-key=secret" + "x" * 5000]}},
        {"pod": {"annotations": {"token": "secret" * 3000}}},
    ],
)
def test_never_shows_what_may_be_a_secret(spec: dict[str, object]) -> None:
    (sentence,) = told(spec)
    assert "secret" not in sentence


def test_a_document_that_is_empty_lacks_both_parts() -> None:
    found = parse_serving({})
    assert isinstance(found, tuple)
    assert [problem.path for problem in found] == ["metadata", "spec"]
