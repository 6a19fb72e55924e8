from typing import Any

import pytest

from modelserving.api.modelserving import SecretKeyRef
from modelserving.render.environment import RESERVED, environment
from modelserving.render.timing import Timing

TIMES = Timing(engine_ready=1800, startup=1860, progress_deadline=3000, grace=100)


def _named(listed: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in listed}


def test_without_anything_the_engine_has_its_caches_and_tells_nobody() -> None:
    values = {name: variable["value"] for name, variable in _named(environment(TIMES, None, "", [])).items()}
    assert values == {
        "DO_NOT_TRACK": "1",
        "HF_HOME": "/cache/huggingface",
        "HOME": "/cache",
        "TRITON_CACHE_DIR": "/cache/triton",
        "VLLM_CACHE_ROOT": "/cache/vllm",
        "VLLM_ENGINE_READY_TIMEOUT_S": "1800",
        "VLLM_NO_USAGE_STATS": "1",
    }


def test_the_token_comes_from_the_secret_and_is_nowhere_else() -> None:
    listed = environment(TIMES, SecretKeyRef(name="hub", key="token"), "", [])
    assert _named(listed)["HF_TOKEN"] == {
        "name": "HF_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}},
    }


def test_the_engine_downloads_from_the_mirror_that_the_operator_asks() -> None:
    assert _named(environment(TIMES, None, "https://hub.example", []))["HF_ENDPOINT"]["value"] == "https://hub.example"


def test_ours_come_first_and_a_default_gives_way() -> None:
    theirs = [{"name": "Z", "value": "1"}, {"name": "HF_ENDPOINT", "value": "https://mine.example"}, {"name": "A"}]
    listed = environment(TIMES, None, "https://hub.example", theirs)
    assert listed[-3:] == theirs
    ours = [variable["name"] for variable in listed[:-3]]
    assert ours == sorted(ours)
    assert "HF_ENDPOINT" not in ours


@pytest.mark.parametrize("name", ["HF_TOKEN", "HF_HOME", "CUDA_VISIBLE_DEVICES", "VLLM_PORT"])
def test_what_a_user_may_not_set(name: str) -> None:
    assert RESERVED[name]


def test_everything_that_is_fixed_is_reserved() -> None:
    fixed = environment(
        TIMES, SecretKeyRef(name="hub"), "", [{"name": "DO_NOT_TRACK"}, {"name": "VLLM_NO_USAGE_STATS"}]
    )
    assert {variable["name"] for variable in fixed[:-2]} <= RESERVED.keys()
