"""Tokens in a block, by attention kernels and by what shares the pool."""

from dataclasses import replace

import pytest

from model_cases import GPUS, H100, engine_config, facts_of
from modelserving.models.facts import ModelFacts
from modelserving.sizing.kv_blocks import block_size, kernel_block, state_bytes, token_bytes

LLAMA, DEEPSEEK, NEMOTRON = facts_of("llama31-8b"), facts_of("deepseek-v2-lite"), facts_of("nemotron-h-8b")


def with_latent(**changes: int) -> ModelFacts:
    """DeepSeek with other sizes of latent attention."""
    assert DEEPSEEK.latent_attention is not None
    return replace(DEEPSEEK, latent_attention=replace(DEEPSEEK.latent_attention, **changes))


@pytest.mark.parametrize(
    ("facts", "gpu", "dtype", "tokens"),
    [
        (LLAMA, "H100-80", "bfloat16", 16),
        (LLAMA, "B200", "nvfp4", 16),
        (DEEPSEEK, "H100-80", "bfloat16", 16),
        (DEEPSEEK, "H100-80", "fp8", 64),
        (DEEPSEEK, "L40S", "fp8", 16),
        (DEEPSEEK, "B200", "bfloat16", 32),
        (with_latent(qk_nope_head_dim=96), "B200", "bfloat16", 128),
        (with_latent(index_topk=2048), "H100-80", "bfloat16", 64),
    ],
    ids=[
        "attention",
        "FlashInfer",
        "FLASH_ATTN_MLA",
        "FlashMLA",
        "TRITON_MLA",
        "FLASHINFER_MLA",
        "CUTLASS_MLA",
        "sparse",
    ],
)
def test_kernels_take_their_blocks(facts: ModelFacts, gpu: str, dtype: str, tokens: int) -> None:
    assert kernel_block(facts, GPUS[gpu], dtype) == tokens


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_a_block_of_a_hybrid_holds_a_state(ranks: int) -> None:
    config = engine_config(NEMOTRON, tensor_parallel_size=ranks)
    size = block_size(NEMOTRON, config, H100, "bfloat16")
    attention = next(group for group in NEMOTRON.attention if not group.states)
    state = max(state_bytes(group, config) for group in NEMOTRON.attention)
    token = token_bytes(attention, config, "bfloat16")
    assert size % 16 == 0
    assert (size - 16) * token < state <= size * token


def test_blocks_of_a_hybrid_are_multiples_of_what_was_asked() -> None:
    asked = engine_config(NEMOTRON, block_size=64)
    assert block_size(NEMOTRON, asked, H100, "bfloat16") == 1088


def test_turboquant_makes_room_for_the_layers_it_leaves() -> None:
    assert block_size(LLAMA, engine_config(LLAMA), H100, "turboquant_4bit_nc") == 32


def test_what_is_asked_for_counts_elsewhere() -> None:
    assert block_size(LLAMA, engine_config(LLAMA, block_size=128), H100, "bfloat16") == 128
