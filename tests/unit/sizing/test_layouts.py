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
