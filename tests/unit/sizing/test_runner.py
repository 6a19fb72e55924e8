"""Which models run on the second runner, by version."""

import pytest

from model_cases import facts_of
from modelserving.engine.versions import engine_version
from modelserving.sizing.runner import runs_second


@pytest.mark.parametrize(
    ("model", "version", "second"),
    [
        ("llama31-8b", "0.24.0", False),
        ("llama31-8b", "0.25.0", True),
        ("qwen3-30b-a3b", "0.28.0", False),
        ("nemotron-h-8b", "0.28.0", False),
        ("deepseek-v2-lite", "0.32.0", True),
    ],
)
def test_dense_models_came_first(model: str, version: str, second: bool) -> None:
    assert runs_second(facts_of(model), engine_version(version)) is second
