"""Batches as vLLM fits them to the model; its own defaults are in tests/conformance."""

from dataclasses import replace

import pytest

from family_cases import SMALL
from model_cases import GPUS, H100, V32, facts_from, facts_of
from modelserving.engine.batching import BatchFlags, batch_sizes
from modelserving.engine.config import EngineRefusal
from modelserving.models.facts import VisionTower

LLAMA, WHISPER = facts_of("llama31-8b"), facts_of("whisper-large-v3")


@pytest.mark.parametrize(
    ("length", "flags", "expected"),
    [
        (8192, BatchFlags(), (8192, 1024)),
        (8192, BatchFlags(throughput=True), (16384, 2048)),
        (4, BatchFlags(max_num_seqs=8), (32, 8)),
        (8192, BatchFlags(max_num_batched_tokens=512), (512, 512)),
        (8192, BatchFlags(512, 1024), (512, 1024)),
        (20000, BatchFlags(enable_chunked_prefill=False), (20000, 1024)),
    ],
    ids=[
        "vLLM's defaults",
        "throughput doubles them",
        "no more tokens than all sequences can bring",
        "no more sequences than tokens",
        "what is asked for stands",
        "a whole prompt without chunked prefill",
    ],
)
def test_a_batch_becomes(length: int, flags: BatchFlags, expected: tuple[int, int]) -> None:
    assert batch_sizes(LLAMA, V32, H100, length, flags) == expected


def test_a_prompt_that_has_no_room_in_a_batch_is_refused() -> None:
    refused = batch_sizes(LLAMA, V32, H100, 8192, BatchFlags(512, enable_chunked_prefill=False))
    assert isinstance(refused, EngineRefusal)
    assert refused.reason == "BatchSmallerThanPrompt"
    assert "512" in refused.message
    assert "8,192" in refused.message


def test_encoders_see_prompts_whole() -> None:
    refused = batch_sizes(WHISPER, V32, H100, 448, BatchFlags(100))
    assert isinstance(refused, EngineRefusal)
    assert batch_sizes(WHISPER, V32, H100, 448, BatchFlags(448)) == (448, 448)


def test_a_video_of_gemma_4_fits_into_a_batch() -> None:
    vision = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = {"architectures": ["Gemma4ForConditionalGeneration"], "model_type": "gemma4", "text_config": SMALL}
    gemma = facts_from({**config, "vision_config": vision})
    assert batch_sizes(gemma, V32, GPUS["A100-80"], 8192, BatchFlags()) == (32 * (70 + 2 + 6), 256)


def test_an_item_that_cannot_be_cut_raises_the_batch() -> None:
    tower = VisionTower(1152, 4304, 27, 16, 4096, 256, 2496)
    gemma = replace(LLAMA, model_type="gemma3", vision=tower)
    small = GPUS["A100-80"]
    assert batch_sizes(gemma, V32, small, 8192, BatchFlags()) == (2496, 256)
    assert batch_sizes(replace(gemma, model_type="llava"), V32, small, 8192, BatchFlags()) == (2048, 256)
