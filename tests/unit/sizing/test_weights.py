"""Offload, bands and parallelism; plain weights are held against vLLM's own count in test_oracle.py."""

import pytest

from model_cases import V19, V32, config_of, engine_config, facts_from, facts_of
from modelserving.sizing.host_memory import pinned_bytes
from modelserving.sizing.weights import rank_weights
from modelserving.units import GIB, MIB

LLAMA = facts_of("llama31-8b")
MODELS = ("llama31-8b", "qwen2-72b", "mistral-7b-v01", "llava-onevision-72b", "llama31-8b-awq", "llama31-8b-ct-fp8")
# A decoder layer of Llama-3.1-8B, tensor by tensor, as it is built.
LAYER = (6144 * 4096 * 2, 4096 * 4096 * 2, 2 * 14336 * 4096 * 2, 14336 * 4096 * 2, 8192, 8192)


@pytest.mark.parametrize("model", MODELS)
def test_more_ranks_never_need_more_weights_each(model: str) -> None:
    facts = facts_of(model)
    sizes = [
        rank_weights(facts, engine_config(facts, tensor_parallel_size=n), V32, 0).on_gpu.value for n in (1, 2, 4, 8)
    ]
    assert sizes == sorted(sizes, reverse=True)


def test_whole_tensors_are_offloaded_first_layers_first() -> None:
    asked = sum(LAYER) + 1
    weights = rank_weights(LLAMA, engine_config(LLAMA, cpu_offload_bytes=asked), V32, 0)
    assert weights.offloaded == (*LAYER, LAYER[0])
    resident = rank_weights(LLAMA, engine_config(LLAMA), V32, 0)
    assert resident.on_gpu.value - weights.on_gpu.value == weights.offloaded_bytes


def test_embeddings_and_head_are_never_offloaded() -> None:
    weights = rank_weights(LLAMA, engine_config(LLAMA, cpu_offload_bytes=100 * GIB), V32, 0)
    assert weights.offloaded_bytes == 32 * sum(LAYER)
    assert weights.on_gpu.value > 2 * 128256 * 4096 * 2


def test_a_later_stage_offloads_its_own_layers() -> None:
    config = engine_config(LLAMA, pipeline_parallel_size=2, cpu_offload_bytes=100 * GIB)
    assert rank_weights(LLAMA, config, V32, 1).offloaded_bytes == 16 * sum(LAYER)


def test_towers_are_offloaded_before_the_decoder() -> None:
    llava = facts_of("llava-onevision-72b")
    some = rank_weights(llava, engine_config(llava, cpu_offload_bytes=1), V32, 0)
    assert some.offloaded == (1152 * 588 * 2,)
    tower = 795_490_880 + 153_124_864
    all_of_it = rank_weights(llava, engine_config(llava, cpu_offload_bytes=tower + 1), V32, 0)
    assert all_of_it.offloaded_bytes == tower + 10240 * 8192 * 2


def test_layers_of_two_kinds_are_offloaded_in_their_order() -> None:
    mixed = facts_from(
        config_of(
            "llama31-8b-awq",
            num_hidden_layers=3,
            quantization_config={
                "quant_method": "awq",
                "bits": 4,
                "group_size": 128,
                "modules_to_not_convert": ["layers.1."],
            },
        )
    )
    moved = rank_weights(mixed, engine_config(mixed, cpu_offload_bytes=100 * GIB), V32, 0).offloaded
    quantized = 6144 * 4096 // 2
    assert moved[0] == quantized
    assert moved.index(LAYER[0]) > moved.index(quantized)
    assert [size for size in moved if size in (quantized, LAYER[0])] == [quantized, LAYER[0], quantized]


def test_bands_are_wider_the_less_is_known() -> None:
    def width(model: str) -> float:
        term = rank_weights(facts_of(model), engine_config(facts_of(model)), V32, 0).on_gpu
        return (term.high - term.value) / term.value

    assert width("llama31-8b") == 0
    assert 0 < width("llama31-8b-awq") < width("llama31-8b-bnb")


def test_pinned_blocks_are_powers_of_two() -> None:
    assert pinned_bytes([231 * MIB, 256 * MIB, 1, 0]) == 512 * MIB + 1


def test_before_0_32_a_tower_may_be_whole_on_every_rank() -> None:
    """Mistral-Small-3.1-24B on four H100 with 0.19 logged 11.86 GiB: its tower, in Mistral's own format, is not cut."""
    facts = facts_from(config_of("mistral-small-31", tie_word_embeddings=False))
    config = engine_config(facts, V19, tensor_parallel_size=4)
    older, read = (rank_weights(facts, config, version, 0).on_gpu for version in (V19, V32))
    assert older.value < 11.86 * GIB <= older.high
    assert read.low == read.value == read.high
    blind = engine_config(facts, V19, tensor_parallel_size=4, limit_mm_per_prompt=(("image", 0),))
    without = rank_weights(facts, blind, V19, 0).on_gpu
    assert without.low == without.high


def test_packed_weights_may_take_more_than_their_tensors() -> None:
    packed, floats = (
        rank_weights(facts, engine_config(facts), V32, 0).on_gpu
        for facts in (facts_of("llama31-8b-awq"), facts_of("llama31-8b-ct-fp8"))
    )
    assert packed.high - packed.value > 2 * (packed.value - packed.low)
    assert floats.high - floats.value == pytest.approx(floats.value - floats.low, abs=2)
