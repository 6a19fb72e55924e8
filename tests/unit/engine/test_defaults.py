"""What vLLM chooses by itself; most is held against its own answers in tests/unit/sizing/test_oracle.py."""

from dataclasses import replace

import pytest

from model_cases import GPUS, H100, T4, V32, facts_of
from modelserving.engine.config import EngineRefusal
from modelserving.engine.defaults import batch_defaults, default_gpu_memory_utilization, resolve_dtype
from modelserving.engine.versions import engine_version

LLAMA = facts_of("llama31-8b")


@pytest.mark.parametrize(
    ("gpu", "version", "expected"),
    [
        ("B200", "0.32.0", (16384, 1024)),
        ("B200", "0.27.1", (8192, 1024)),
        ("H100-80", "0.32.0", (8192, 1024)),
        ("H100-80", "0.8.5", (8192, 256)),
        ("A100-80", "0.32.0", (2048, 256)),
        ("L40S", "0.32.0", (2048, 256)),
    ],
)
def test_batch_defaults_follow_memory_and_name(gpu: str, version: str, expected: tuple[int, int]) -> None:
    assert batch_defaults(engine_version(version), GPUS[gpu]) == expected


def test_offline_batches_are_larger() -> None:
    assert batch_defaults(V32, H100, "offline") == (16384, 1024)
    assert batch_defaults(V32, T4, "offline") == (8192, 256)


def test_utilization_depends_on_the_version() -> None:
    assert default_gpu_memory_utilization(V32) == 0.92
    assert default_gpu_memory_utilization(engine_version("0.19.0")) == 0.9


@pytest.mark.parametrize(
    ("stored", "model_type", "gpu", "dtype"),
    [
        ("bfloat16", "llama", "H100-80", "bfloat16"),
        ("bfloat16", "llama", "T4", "float16"),
        ("bfloat16", "gemma2", "T4", "float32"),
        ("float16", "llama", "H100-80", "float16"),
        ("float16", "gemma2", "H100-80", "bfloat16"),
        ("float32", "llama", "H100-80", "bfloat16"),
        ("float32", "llama", "T4", "float16"),
    ],
)
def test_auto_becomes_what_the_gpu_has(stored: str, model_type: str, gpu: str, dtype: str) -> None:
    facts = replace(LLAMA, stored_dtype=stored, model_type=model_type)
    assert resolve_dtype(facts, "auto", GPUS[gpu]) == dtype


def test_what_was_asked_is_kept_or_refused() -> None:
    assert resolve_dtype(LLAMA, "float32", T4) == "float32"
    refused = {
        "UnknownDtype": resolve_dtype(LLAMA, "int7", H100),
        "DtypeNotSupported": resolve_dtype(LLAMA, "bfloat16", T4),
    }
    for reason, told in refused.items():
        assert isinstance(told, EngineRefusal)
        assert told.reason == reason
    overflow = resolve_dtype(replace(LLAMA, model_type="gemma2"), "float16", H100)
    assert isinstance(overflow, EngineRefusal)
    assert "gemma2" in overflow.message
