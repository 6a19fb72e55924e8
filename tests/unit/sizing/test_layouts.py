"""Tensors of a quantized module; whole models are held against vLLM's own count in test_oracle.py."""

import pytest

from modelserving.engine.shares import share
from modelserving.models.facts import Module, Quantization, Split
from modelserving.sizing.layouts import module_tensors

# 256 x 512 weights, two merged parts, a bias.
MODULE = Module("m", Split.COLUMN, 512, (128, 128), bias=True, quantized=True, quantizable=True)
N = 256 * 512
BIAS = 512

LAYOUTS: dict[str, tuple[Quantization, tuple[int, ...]]] = {
    "AWQ: words, scales, zero points": (
        Quantization("awq", 4, strategy="group", group_size=128, zero_point=True),
        (N // 2, 4 * 256 * 2, 4 * 256 // 2, BIAS),
    ),
    "GPTQ by channel": (
        Quantization("gptq", 8, strategy="channel", zero_point=True),
        (N, 256 * 2, 256, BIAS),
    ),
    "fp8 by tensor: a scale for each part": (
        Quantization("fp8", 8, is_float=True, dynamic_activations=True),
        (N, 8, BIAS),
    ),
    "fp8 by tensor, static: input scales too": (
        Quantization("modelopt", 8, is_float=True, dynamic_activations=False),
        (N, 8, 8, BIAS),
    ),
    "fp8 by block": (
        Quantization("fp8", 8, is_float=True, strategy="block", block_shape=(128, 128)),
        (N, 2 * 4 * 4, BIAS),
    ),
    "int8 by channel": (
        Quantization("compressed-tensors", 8, strategy="channel", dynamic_activations=True),
        (N, 256 * 4, BIAS),
    ),
    "w4a16: words, scales, shape": (
        Quantization("compressed-tensors", 4, strategy="group", group_size=128),
        (N // 2, 4 * 256 * 2, 16, BIAS),
    ),
    "w8a16 with zero points": (
        Quantization("compressed-tensors", 8, strategy="group", group_size=128, zero_point=True),
        (N, 4 * 256 * 2, 4 * 256, 16, BIAS),
    ),
    "a layout nobody described": (Quantization("zip", 4, known=False), (N // 2, N // 16, BIAS)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_stored_layouts(name: str) -> None:
    stored, expected = LAYOUTS[name]
    assert module_tensors(MODULE, share(MODULE, 1), "bfloat16", stored, None) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("fp8_per_tensor", (N, 4, BIAS)),
        ("fp8_per_block", (N, 2 * 4 * 4, BIAS)),
        ("fp8_per_channel", (N, 256 * 4, BIAS)),
        ("mxfp8", (N, N // 32, BIAS)),
        ("mxfp4", (N // 2, N // 32, BIAS)),
        ("int8_per_channel_weight_only", (2 * N, BIAS)),
    ],
)
def test_layouts_made_while_loading(method: str, expected: tuple[int, ...]) -> None:
    assert module_tensors(MODULE, share(MODULE, 1), "bfloat16", None, method) == expected


def test_what_stays_in_16_bits() -> None:
    head = Module("head", Split.VOCAB, 8, (64,))
    assert module_tensors(head, share(head, 1), "float32", Quantization("awq", 4, group_size=8), None) == (64 * 8 * 4,)
    assert module_tensors(head, share(head, 1), "float16", None, "mxfp4") == (64 * 8 * 2,)


# 4 experts of 64 x 128 weights in two merged parts.
EXPERTS = Module("e.w13", Split.COLUMN, 128, (32, 32), quantized=True, quantizable=True, experts=4)
E, M = 4, 4 * 64 * 128

EXPERT_LAYOUTS: dict[str, tuple[Quantization, tuple[int, ...]]] = {
    "fp8 by tensor, static": (
        Quantization("fp8", 8, is_float=True, dynamic_activations=False),
        (M, E * 2 * 4, E * 4),
    ),
    "fp8 by block": (
        Quantization("fp8", 8, is_float=True, strategy="block", block_shape=(32, 32), dynamic_activations=True),
        (M, E * 2 * 4 * 4),
    ),
    "mxfp4: two weights a byte, a byte for 32": (
        Quantization("gpt_oss_mxfp4", 4, is_float=True, strategy="group", group_size=32),
        (M // 2, M // 32),
    ),
    "NVFP4: a byte for 16, and scales of weights and inputs": (
        Quantization("modelopt_fp4", 4, is_float=True, strategy="group", group_size=16, dynamic_activations=True),
        (M // 2, M // 16, E * 2 * 4, E * 2 * 4),
    ),
    "mxfp8": (
        Quantization("modelopt_mxfp8", 8, is_float=True, strategy="group", group_size=32),
        (M, M // 32),
    ),
    "w4a16: words, scales, shapes": (
        Quantization("compressed-tensors", 4, strategy="group", group_size=32),
        (M // 2, E * 4 * 64 * 2, E * 2 * 2),
    ),
}


@pytest.mark.parametrize("name", EXPERT_LAYOUTS)
def test_stored_layouts_of_experts(name: str) -> None:
    stored, expected = EXPERT_LAYOUTS[name]
    assert module_tensors(EXPERTS, share(EXPERTS, 1), "bfloat16", stored, None) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("int8_per_channel_weight_only", (M, E * 64 * 4)),
        ("nvfp4_per_token", (M // 2, M // 16, E * 4)),
        ("fp8_per_tensor", (M, E * 4)),
        ("deepseek_v4_fp8", (M // 2, M // 32)),
    ],
)
def test_layouts_of_experts_made_while_loading(method: str, expected: tuple[int, ...]) -> None:
    assert module_tensors(EXPERTS, share(EXPERTS, 1), "bfloat16", None, method) == expected


def test_absorbed_projections_keep_a_copy_in_16_bits_once_quantized() -> None:
    absorbed = Module("kv_b_proj", Split.COLUMN, 64, (32,), quantizable=True, keeps_copy=True)
    assert module_tensors(absorbed, share(absorbed, 1), "bfloat16", None, None) == (64 * 32 * 2,)
    assert module_tensors(absorbed, share(absorbed, 1), "bfloat16", None, "fp8_per_tensor") == (64 * 32, 4, 64 * 32 * 2)
