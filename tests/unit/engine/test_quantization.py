"""Methods as data."""

import pytest

from model_cases import GPUS, H100, V32
from modelserving.engine.config import EngineRefusal
from modelserving.engine.quantization import METHODS, method_of, on_the_fly_method, online_method, same_method
from modelserving.engine.versions import engine_version
from modelserving.models.facts import Quantization


def test_names_mean_one_method_each() -> None:
    names = [name for method in METHODS for name in method.names]
    assert len(names) == len(set(names))
    assert same_method("awq", "auto_awq")
    assert same_method("zip", "zip")
    assert not same_method("awq", "gptq")
    assert not same_method("zip", "awq")


def test_every_method_on_the_fly_is_described() -> None:
    for name in V32.online_methods - {"fp8"}:
        method = method_of(name)
        assert method is not None
        assert method.online


@pytest.mark.parametrize(
    ("flag", "stored", "expected"),
    [
        (None, None, None),
        ("fp8", None, "fp8_per_tensor"),
        ("mxfp8", None, "mxfp8"),
        ("awq", None, None),
        ("zip", None, None),
        ("fp8", Quantization("fp8", 8), None),
    ],
)
def test_a_flag_quantizes_only_what_is_not(flag: str | None, stored: Quantization | None, expected: str | None) -> None:
    assert online_method(flag, stored) == expected


def test_fp8_on_the_fly_by_version_and_gpu() -> None:
    assert on_the_fly_method("fp8", H100, V32) == "fp8_per_tensor"
    assert on_the_fly_method("fp8", H100, engine_version("0.19.0")) == "fp8"
    assert on_the_fly_method("fp8", GPUS["T4"], V32) == "fp8_per_tensor"


@pytest.mark.parametrize(
    ("precision", "gpu", "reason", "piece"),
    [
        ("fp8", "V100-32", "QuantizationNeedsNewerGpu", "Tesla-V100-SXM2-32GB has 7.0"),
        ("int4", "H100-80", "NoOnTheFlyMethod", "variants"),
    ],
)
def test_what_cannot_be_made_is_refused(precision: str, gpu: str, reason: str, piece: str) -> None:
    told = on_the_fly_method(precision, GPUS[gpu], V32)
    assert isinstance(told, EngineRefusal)
    assert told.reason == reason
    assert piece in told.message
