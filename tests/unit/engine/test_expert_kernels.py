"""How kernels pad experts; whole models are held against vLLM's own count in the conformance suite."""

import pytest

from model_cases import GPUS
from modelserving.engine.expert_kernels import Alignment, alignment, expert_block, expert_group, padded
from modelserving.engine.shares import share
from modelserving.models.facts import Module, Split

W13 = Module("experts.w13", Split.COLUMN, 2880, (2880, 2880), bias=True, experts=4)
W2 = Module("experts.w2", Split.ROW, 2880, (2880,), bias=True, experts=4)

# sentence: (method, GPU, without biases and gated by SiLU, alignment)
KERNELS: dict[str, tuple[str | None, str, bool, Alignment]] = {
    "16 bits on Hopper": (None, "H100-80", True, Alignment()),
    "16 bits on Blackwell": (None, "B200", True, Alignment(128)),
    "16 bits with biases or GELU on Blackwell": (None, "B200", False, Alignment()),
    "blocks of fp8 while loading": ("fp8_per_block", "H100-80", True, Alignment(128, 128)),
    "gpt-oss on Hopper": ("gpt_oss_mxfp4", "H100-80", False, Alignment(128, 128)),
    "gpt-oss on Ampere": ("gpt_oss_mxfp4", "A100-80", False, Alignment(128, 256)),
    "mxfp4 while loading": ("mxfp4", "H100-80", True, Alignment(128, 256)),
    "fp8 by tensor": ("fp8_per_tensor", "B200", True, Alignment()),
}


@pytest.mark.parametrize("name", KERNELS)
def test_alignments(name: str) -> None:
    method, gpu, is_plain, expected = KERNELS[name]
    assert alignment(method, GPUS[gpu], is_plain) == expected


def test_gpt_oss_is_padded_to_2944_and_3072_on_ampere() -> None:
    tiles = alignment("gpt_oss_mxfp4", GPUS["A100-80"], False)
    first, second = padded(W13, share(W13, 1), tiles), padded(W2, share(W2, 1), tiles)
    assert (first.rows, first.columns, first.bias) == ((2944, 2944), 3072, 4 * 2 * 2944)
    assert (second.rows, second.columns, second.bias) == ((3072,), 2944, 4 * 3072)


def test_dense_layers_and_plain_kernels_are_not_padded() -> None:
    dense = Module("mlp", Split.COLUMN, 100, (100,))
    assert padded(dense, share(dense, 1), Alignment(128, 128)) == share(dense, 1)
    assert padded(W13, share(W13, 1), Alignment()) == share(W13, 1)


@pytest.mark.parametrize(
    ("ranks", "expected"), [(1, (128, 128)), (4, (64, 64)), (8, (32, 32)), (16, (128, 128))], ids=str
)
def test_blocks_that_ranks_would_cut_are_refined_down_to_32(ranks: int, expected: tuple[int, int]) -> None:
    w13 = Module("experts.w13", Split.COLUMN, 2048, (768, 768), experts=8)
    w2 = Module("experts.w2", Split.ROW, 768, (2048,), experts=8)
    assert expert_block(w13, share(w13, ranks), (128, 128)) == expected
    assert expert_block(w2, share(w2, ranks), (128, 128)) == expected


# sentence: (method, hidden size, intermediate size, ranks, group, what becomes of it)
GROUPS: dict[str, tuple[str, int, int, int, int, tuple[int, bool] | None]] = {
    "whole groups": ("gptq", 2048, 768, 2, 128, (128, True)),
    "groups that ranks would cut": ("gptq", 2048, 768, 4, 128, (64, False)),
    "groups cut twice": ("awq", 2048, 768, 8, 128, (32, False)),
    "groups that no kernel makes so fine": ("awq", 2048, 768, 16, 128, None),
    "a hidden size of no whole tiles": ("gptq", 2112, 768, 1, 64, (64, False)),
    "a group that Marlin has not": ("gptq", 2048, 768, 1, 256, (256, False)),
    "a method with one kernel": ("compressed-tensors", 2048, 768, 4, 128, (128, True)),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_of_packed_experts(name: str) -> None:
    method, width, inner, ranks, group, expected = GROUPS[name]
    w13 = Module("experts.w13", Split.COLUMN, width, (inner, inner), experts=8)
    w2 = Module("experts.w2", Split.ROW, inner, (width,), experts=8)
    assert expert_group(w13, share(w13, ranks), method, group) == expected
    assert expert_group(w2, share(w2, ranks), method, group) == expected
