"""Context length and rope cache, as vLLM derives them."""

from typing import Any

import pytest

from modelserving.models.fields import Fields, InvalidFieldError
from modelserving.models.rope import read_rope

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}
CASES: dict[str, tuple[dict[str, Any], int, int]] = {
    "positions alone": ({"max_position_embeddings": 4096}, 4096, 4096),
    "the smallest of several lengths": ({"max_position_embeddings": 4096, "seq_length": 2048}, 4096, 2048),
    "model_max_length overrides": ({"max_position_embeddings": 8192, "model_max_length": 131072}, 8192, 131072),
    "nothing, with a default of the family": ({}, 1024, 1024),
    "llama3 is stretched already": ({"max_position_embeddings": 131072, "rope_scaling": LLAMA3}, 131072, 131072),
    "linear stretches": (
        {"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4}},
        16384,
        16384,
    ),
    "yarn starts from the original": (
        {
            "max_position_embeddings": 131072,
            "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
        },
        131072,
        131072,
    ),
    "newer key": ({"max_position_embeddings": 100, "rope_parameters": {"rope_type": "default", "factor": 4}}, 100, 100),
    "longrope starts short": (
        {
            "max_position_embeddings": 131072,
            "original_max_position_embeddings": 4096,
            "rope_scaling": {"type": "longrope"},
        },
        131072 + 4096,
        4096,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_lengths_are_derived(name: str) -> None:
    config, rows, length = CASES[name]
    rope = read_rope(Fields(config), default_length=1024)
    assert (rope.cache_rows, rope.max_model_len) == (rows, length)


def test_without_any_length_vllm_assumes_2048() -> None:
    assert read_rope(Fields({}), None).max_model_len == 2048


def test_a_part_of_the_head_is_rotated() -> None:
    assert read_rope(Fields({"partial_rotary_factor": 0.5}), 128).partial_rotary_factor == 0.5


def test_a_stretch_beyond_reason_is_refused() -> None:
    stretched = {"max_position_embeddings": 2**31 - 1, "rope_scaling": {"type": "linear", "factor": 60000.0}}
    with pytest.raises(InvalidFieldError, match=r"rope_scaling\.factor"):
        read_rope(Fields(stretched), None)
