"""Activation peak against what starts logged, term by term."""

from typing import Any

import pytest

from model_cases import V19, V32, config_of, engine_config, facts_from, facts_of
from modelserving.engine.versions import engine_version
from modelserving.models.facts import ModelFacts
from modelserving.sizing.activation import activation_peak
from modelserving.units import GIB

LLAMA, QWEN, LLAVA = facts_of("llama31-8b"), facts_of("qwen2.5-7b"), facts_of("llava-onevision-72b")
# CodeLlama-7b: a small vocabulary, so that the forward pass decides.
SMALL_VOCABULARY = facts_from(
    config_of("llama31-8b", vocab_size=32016, intermediate_size=11008, num_key_value_heads=32)
)


@pytest.mark.parametrize(
    ("facts", "version", "flags", "is_last", "gib"),
    [
        (LLAMA, "0.19.0", {}, True, 1.89),
        (QWEN, "0.19.0", {}, True, 2.21),
        (SMALL_VOCABULARY, "0.19.0", {"max_model_len": 8192}, True, 0.77),
        (LLAMA, "0.19.0", {"dtype": "float32"}, True, 2.21),
        (LLAMA, "0.19.0", {}, False, 1.10),
        (LLAMA, "0.11.0", {}, True, 4.76),
    ],
    ids=["Llama", "Qwen", "CodeLlama", "float32", "a stage before the last", "sampler that sorts"],
)
def test_peaks_are_within_the_band_of_logged_starts(
    facts: ModelFacts, version: str, flags: dict[str, Any], is_last: bool, gib: float
) -> None:
    row = engine_version(version)
    term = activation_peak(facts, engine_config(facts, row, **flags), row, is_last)
    assert term.low / GIB <= gib <= term.high / GIB
    assert term.value / GIB == pytest.approx(gib, rel=0.07)


def test_logits_are_not_divided_by_ranks_but_the_mlp_is() -> None:
    for facts, shrinks in ((LLAMA, False), (SMALL_VOCABULARY, True)):
        alone, together = (
            activation_peak(facts, engine_config(facts, V19, tensor_parallel_size=ranks), V19, True).value
            for ranks in (1, 8)
        )
        assert (together < alone) is shrinks


def test_fewer_sequences_need_fewer_logits() -> None:
    few = activation_peak(LLAMA, engine_config(LLAMA, max_num_seqs=16), V32, True)
    many = activation_peak(LLAMA, engine_config(LLAMA), V32, True)
    assert few.value < many.value


def test_the_second_runner_keeps_buffers_and_warms_up_later() -> None:
    logits = 1024 * 128256
    config = engine_config(LLAMA, max_num_batched_tokens=1024)
    runner = activation_peak(LLAMA, config, V32, True)
    forward = 1024 * 2 * (3 * 14336 + 4 * 4096)
    sampler = 2 * logits + 1024 * 4096 * 2
    assert runner.value == max(forward, sampler) + int(4.125 * logits)
    warmed = activation_peak(LLAMA, config, engine_version("0.33.0"), True)
    assert warmed.value - runner.value == 9 * logits


def test_a_tower_counts_unless_it_is_left_out() -> None:
    seeing = activation_peak(LLAVA, engine_config(LLAVA, tensor_parallel_size=4), V32, True)
    blind = engine_config(LLAVA, tensor_parallel_size=4, limit_mm_per_prompt=(("image", 0), ("video", 0)))
    assert seeing.value > activation_peak(LLAVA, blind, V32, True).value
    frames = -(-8192 // 196)
    assert seeing.value == frames * 729 * (1152 + 2 * 8192) * 2 + int(4.125 * 1024 * 152000)


MIXTURE, LATENT = facts_of("qwen1.5-moe-a2.7b"), facts_of("deepseek-v2-lite")


def test_a_mixture_keeps_its_workspaces_beside_the_sampler() -> None:
    """Qwen1.5-MoE-A2.7B on H100 with 0.19 logged 2.47 GiB."""
    term = activation_peak(MIXTURE, engine_config(MIXTURE, V19), V19, True)
    assert term.value / GIB == pytest.approx(2.47, rel=0.03)
    workspaces = 2 * 8192 * 4 * (2048 + 2816)
    assert term.value == (12 + 2) * 1024 * 151936 + int(2.5 * 2 * 8192 * 2048) + workspaces


def test_workspaces_shrink_with_ranks_unless_experts_stay_whole() -> None:
    cut, whole = (
        activation_peak(
            MIXTURE, engine_config(MIXTURE, V19, tensor_parallel_size=2, enable_expert_parallel=parallel), V19, True
        ).value
        for parallel in (False, True)
    )
    assert whole - cut == 2 * 8192 * 4 * (2816 - 2048)


def test_latent_attention_expands_its_context() -> None:
    last, before = (
        activation_peak(LATENT, engine_config(LATENT, V19, max_num_batched_tokens=1024), V19, is_last).value
        for is_last in (True, False)
    )
    expanded = 64 * 1024 * 16 * (128 + 128) * 2
    workspaces = 2 * 1024 * 6 * (2048 + 2816)
    handed_on = 2 * 2 * 1024 * 2048
    assert before == expanded + 2 * 1024 * (3 * 10944 + 4 * 2048) + handed_on + workspaces
    assert last > before
    short = engine_config(LATENT, V19, max_num_batched_tokens=1024, max_model_len=512, max_num_seqs=8)
    assert activation_peak(LATENT, short, V19, False).value == before - expanded * 15 // 16


def test_quantized_activations_take_a_byte_each() -> None:
    plain, quantized = QWEN, facts_of("qwen2.5-7b-w8a8")
    before, after = (
        activation_peak(facts, engine_config(facts, V19), V19, False).value for facts in (plain, quantized)
    )
    assert after - before == 8192 * 18944


def test_an_image_larger_than_a_batch_has_a_wide_band() -> None:
    """Qwen2.5-VL: an image of 16,384 tokens; a start of the 32B model on A100 logged 6.9 GiB."""
    facts = facts_of("qwen2.5-vl-72b")
    term = activation_peak(facts, engine_config(facts, max_num_batched_tokens=2048, max_num_seqs=256), V32, True)
    assert "vision tower" in term.source
    assert term.high > 3 * term.value
    whole = engine_config(facts, max_num_batched_tokens=2048, tensor_parallel_size=8, mm_encoder_tp_mode="data")
    assert activation_peak(facts, whole, V32, True).value >= term.value - GIB
