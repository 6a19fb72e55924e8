"""What checkpoints say of their quantization, in all the places where they say it."""

from typing import Any

import pytest

from modelserving.models.facts import Quantization
from modelserving.models.fields import Fields, InvalidFieldError
from modelserving.models.metadata import ModelMetadata, Origin
from modelserving.models.stored_quantization import names_no_method, read_quantization


def read(config: dict[str, Any], files: dict[str, Any] | None = None) -> Quantization | None:
    return read_quantization(ModelMetadata("m", "main", Origin.FILE, config, quantization_files=files or {}))


def quantized(**fields: Any) -> Quantization:
    found = read({"quantization_config": fields})
    assert found is not None
    return found


def compressed(weights: dict[str, Any], **more: Any) -> Quantization:
    return quantized(quant_method="compressed-tensors", config_groups={"group_0": {"weights": weights, **more}})


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True}
W4A16 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": False}
NVFP4 = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}

CASES: dict[str, tuple[Quantization, dict[str, Any]]] = {
    "AWQ": (
        quantized(quant_method="awq", bits=4, group_size=128, modules_to_not_convert=["visual"]),
        {
            "method": "awq",
            "bits": 4,
            "group_size": 128,
            "zero_point": True,
            "ignored": ("visual",),
            "precision": "int4",
        },
    ),
    "AWQ's other key names": (quantized(quant_method="AWQ", w_bit=4, q_group_size=64), {"bits": 4, "group_size": 64}),
    "GPTQ in activation order": (quantized(**GPTQ), {"method": "gptq", "desc_act": True, "strategy": "group"}),
    "GPTQ by channel has no activation order": (
        quantized(**GPTQ | {"group_size": -1, "bits": 8}),
        {"desc_act": False, "strategy": "channel", "group_size": None, "precision": "int8"},
    ),
    "GPTQ with overrides": (quantized(**GPTQ | {"dynamic": {"-:x": {}}}), {"known": False}),
    "fp8 by tensor, static": (
        quantized(quant_method="fp8", activation_scheme="static", ignored_layers=["lm_head"]),
        {"strategy": "tensor", "dynamic_activations": False, "ignored": ("lm_head",), "precision": "fp8"},
    ),
    "fp8 by block": (
        quantized(quant_method="fp8", weight_block_size=[128, 128]),
        {"strategy": "block", "block_shape": (128, 128), "dynamic_activations": True},
    ),
    "compressed w4a16": (
        compressed(W4A16),
        {"bits": 4, "strategy": "group", "zero_point": True, "known": True, "dynamic_activations": None},
    ),
    "compressed w8a8": (
        compressed({"num_bits": 8, "type": "int", "strategy": "channel"}, input_activations={"dynamic": True}),
        {"precision": "int8", "known": True, "dynamic_activations": True},
    ),
    "compressed fp8, static": (
        compressed({"num_bits": 8, "type": "float"}, input_activations={"dynamic": False}),
        {"precision": "fp8", "strategy": "tensor", "dynamic_activations": False},
    ),
    "compressed NVFP4": (compressed(NVFP4), {"known": True, "precision": "fp4", "group_size": 16}),
    "compressed, by block": (
        compressed({"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 64]}),
        {"block_shape": (128, 64), "known": True},
    ),
    "compressed, with groups of its own for some layers": (
        quantized(
            quant_method="compressed-tensors",
            config_groups={
                "a": {"weights": {"num_bits": 8, "type": "float"}, "targets": ["Linear"]},
                "b": {"weights": NVFP4, "targets": ["re:.*experts.*"]},
                "c": {"output_activations": {}},
            },
        ),
        {"bits": 8, "only_named": False, "known": True},
    ),
    "compressed, named layers only": (
        quantized(
            quant_method="compressed-tensors",
            config_groups={"b": {"weights": NVFP4, "targets": ["re:.*experts.*"]}},
        ),
        {"bits": 4, "only_named": True},
    ),
    "mxfp4 of experts": (
        quantized(quant_method="mxfp4", modules_to_not_convert=["lm_head"]),
        {"method": "gpt_oss_mxfp4", "experts_only": True, "precision": "fp4", "known": True},
    ),
    "ModelOpt mxfp8": (
        quantized(quant_method="modelopt", quant_algo="MXFP8"),
        {"method": "modelopt_mxfp8", "group_size": 32},
    ),
    "ModelOpt fp8 by channel": (
        quantized(quant_method="modelopt", quant_algo="FP8_PER_CHANNEL_PER_TOKEN"),
        {"strategy": "channel", "dynamic_activations": True},
    ),
    "ModelOpt fp8 by block": (
        quantized(quant_method="modelopt", quant_algo="FP8_PB_WO"),
        {"strategy": "block", "block_shape": (128, 128)},
    ),
    "ModelOpt, layer by layer": (
        quantized(
            quant_method="modelopt",
            quant_algo="MIXED_PRECISION",
            quantized_layers={"a": {"quant_algo": "FP8"}, "b": {"quant_algo": "NVFP4"}, "c": {"quant_algo": "FP8"}},
        ),
        {"method": "modelopt_mixed", "only_named": True, "bits": 4, "known": True},
    ),
    "ModelOpt fp8 in config.json": (
        quantized(quant_method="modelopt", quant_algo="FP8", ignore=["lm_head"], kv_cache_scheme="FP8"),
        {"method": "modelopt", "precision": "fp8", "kv_cache_scheme": "fp8", "known": True},
    ),
    "ModelOpt's own manner before that of compressed-tensors": (
        quantized(
            quant_method="modelopt",
            quant_algo="NVFP4",
            ignore=["lm_head"],
            quantization={"quant_algo": "FP8", "exclude_modules": ["visual"], "ignore": ["router"]},
            kv_cache_quant_algo="FP8",
        ),
        {"method": "modelopt", "ignored": ("visual",), "kv_cache_scheme": "fp8"},
    ),
    "ModelOpt with a cache in nvfp4": (
        quantized(quant_method="modelopt", quant_algo="FP8", kv_cache_scheme={"type": "float", "num_bits": 4}),
        {"kv_cache_scheme": "nvfp4"},
    ),
    "ModelOpt with a cache scaled as it goes": (
        quantized(
            quant_method="modelopt",
            quant_algo="FP8",
            kv_cache_scheme={"type": "float", "num_bits": 8, "dynamic": True},
        ),
        {"kv_cache_scheme": None},
    ),
    "ModelOpt with a cache of integers": (
        quantized(quant_method="modelopt", quant_algo="FP8", kv_cache_scheme={"type": "int", "num_bits": 8}),
        {"kv_cache_scheme": None},
    ),
    "mxfp8 by its own name": (
        quantized(quant_method="mxfp8", ignored_layers=["lm_head"]),
        {"method": "modelopt_mxfp8", "group_size": 32, "ignored": ("lm_head",), "known": True},
    ),
    "mxfp8 by its own name, as ModelOpt writes it": (
        quantized(quant_method="mxfp8", quant_algo="MXFP8", ignore=["lm_head"], kv_cache_quant_algo="FP8"),
        {"method": "modelopt_mxfp8", "ignored": ("lm_head",), "kv_cache_scheme": None},
    ),
    "ModelOpt NVFP4": (
        quantized(quant_method="modelopt", quant_algo="NVFP4"),
        {"method": "modelopt_fp4", "known": True, "group_size": 16},
    ),
    "ModelOpt's older form": (
        quantized(producer={"name": "modelopt"}, quantization={"quant_algo": "W4A8"}),
        {"method": "modelopt", "known": False},
    ),
    "bitsandbytes": (
        quantized(quant_method="bitsandbytes", load_in_8bit=True),
        {"method": "bitsandbytes", "bits": 8, "known": False},
    ),
    "a method of tomorrow": (quantized(quant_method="zip", bits=3), {"method": "zip", "bits": 3, "known": False}),
}


@pytest.mark.parametrize("name", CASES)
def test_methods_are_recognised(name: str) -> None:
    found, expected = CASES[name]
    assert {key: getattr(found, key) for key in expected} == expected


def test_unquantized_is_none() -> None:
    assert read({}) is None
    assert read({"text_config": {}}) is None


@pytest.mark.parametrize(
    "stated",
    [
        {"producer": {"name": "modelopt"}, "quant_algo": "FP8"},
        {"config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}}},
    ],
    ids=["a producer alone", "groups alone"],
)
def test_without_a_method_vllm_takes_it_for_unquantized(stated: dict[str, Any]) -> None:
    assert read({"quantization_config": stated}) is None


def test_experts_of_deepseek_v4_have_a_format_of_their_own() -> None:
    stated = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    config = {"model_type": "deepseek_v4", "quantization_config": stated}
    plain, nvidia, base = (
        read(config),
        read({**config, "quantization_config": {**stated, "moe_quant_algo": "NVFP4"}}),
        read({**config, "expert_dtype": "fp8"}),
    )
    assert plain is not None
    assert nvidia is not None
    assert base is not None
    assert [found.method for found in (plain, nvidia, base)] == ["deepseek_v4_fp8"] * 3
    assert [found.scale_bytes for found in (plain, nvidia, base)] == [1, 1, 4]
    assert [scheme.group_size for found in (plain, nvidia) for _, scheme in found.overrides] == [32, 16]
    assert base.overrides == ()


def test_files_beside_config_are_read() -> None:
    inner = {"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"], "kv_cache_quant_algo": "FP8"}}
    modelopt = read({}, {"hf_quant_config.json": inner})
    assert modelopt is not None
    assert (modelopt.method, modelopt.ignored, modelopt.kv_cache_scheme) == ("modelopt", ("lm_head",), "fp8")
    gptq = read({}, {"quantize_config.json": {"bits": 4, "group_size": 128}})
    assert gptq is not None
    assert gptq.method == "gptq"


def test_a_nested_description_is_read() -> None:
    nested = read({"text_config": {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}})
    assert nested is not None
    assert nested.method == "awq"


@pytest.mark.parametrize(
    ("fields", "piece"),
    [
        ({"quant_method": "awq", "bits": 3, "group_size": 128}, "bits is 3 and must be 4"),
        ({"quant_method": "gptq", "bits": 5, "group_size": 128}, "bits is 5 and must be 4 or 8"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 0}, "group_size is 0"),
        ({"quant_method": "fp8", "weight_block_size": [128]}, "weight_block_size is a list"),
        ({"quant_method": "fp8", "weight_block_size": [0, 128]}, "weight_block_size.rows is 0"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "config_groups is an object"),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": {}}}, "config_groups.g is an object"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {}}, "quantized_layers is"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}, "quantized_layers is missing"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"g": {"weights": {"num_bits": 8, "strategy": "block", "block_structure": [1, 2, 3]}}},
            },
            "block_structure is a list",
        ),
        ({"quant_method": "modelopt"}, "quant_algo is missing"),
        ({"quant_method": 4}, "quant_method is 4"),
    ],
)
def test_wrong_fields_are_named(fields: dict[str, Any], piece: str) -> None:
    with pytest.raises(InvalidFieldError) as raised:
        quantized(**fields)
    assert piece in str(raised.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"quant_algo": "FP8", "producer": {"name": "modelopt"}, "kv_cache_scheme": "FP8"},
        {"config_groups": {"g": {"weights": {"num_bits": 8, "type": "float"}}}},
        {"bits": 4},
    ],
)
def test_what_names_no_method_vllm_takes_for_unquantized(fields: dict[str, Any]) -> None:
    config = {"quantization_config": fields}
    assert read(config) is None
    assert names_no_method(Fields(config))
    assert not names_no_method(Fields({"quantization_config": fields | {"quant_method": "fp8"}}))
