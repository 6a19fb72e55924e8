"""Names of models and revisions."""

import pytest

from modelserving.hub.names import is_commit, name_failure, shorten
from modelserving.models.metadata import CheckpointRef


@pytest.mark.parametrize("model", ["gpt2", "org/name", "Qwen/Qwen2.5-0.5B-Instruct", "a/" + "b" * 94])
@pytest.mark.parametrize("revision", ["main", "v1.0", "feature/x", "refs/pr/3", "a" * 40, "fp8-e4m3"])
def test_names_that_can_be(model: str, revision: str) -> None:
    assert name_failure(CheckpointRef(model, revision)) is None


@pytest.mark.parametrize(
    "model", ["", " ", "a b", "a/b/c", "/abs", "a/..", "..", "-a/b", "a/b.git", "x" * 300, "a\nb", "hf://a/b"]
)
def test_models_that_cannot_be(model: str) -> None:
    failure = name_failure(CheckpointRef(model))
    assert failure is not None
    assert (failure.reason, failure.retryable) == ("InvalidModelName", False)
    assert "organization/name" in failure.message
    assert "\n" not in failure.message


NO_REVISIONS = ["", "a b", "a\tb", "../x", "a..b", "-x", ".x", "/x", "x//y", "a@{1}", "x" * 300]
NO_REVISIONS += [f"a{mark}b" for mark in "~^:?*[\\"]


@pytest.mark.parametrize("revision", NO_REVISIONS)
def test_revisions_that_cannot_be(revision: str) -> None:
    failure = name_failure(CheckpointRef("org/name", revision))
    assert failure is not None
    assert (failure.reason, failure.retryable) == ("RevisionNotFound", False)
    assert "spec.revision" in failure.message


def test_only_a_full_commit_is_a_commit() -> None:
    assert is_commit("0123456789abcdef" * 2 + "01234567")
    assert not any(map(is_commit, ["main", "abcdef1", "A" * 40, "a" * 41, ""]))


def test_long_texts_are_shortened_and_say_so() -> None:
    assert shorten("short") == "'short'"
    assert shorten("x" * 300).endswith("(300 characters)")
    assert len(shorten("x" * 300)) < 120
