"""How figures of a comparison are written."""

from dataclasses import replace

import pytest

from comparison_cases import LLAVA, answer, compared, row
from modelserving.cli.compare_figures import (
    gpu_figures,
    layout_sentence,
    layout_text,
    parameters_by_name,
    rule_of_thumb_bytes,
)
from planning_cases import A100, H100, L40S, T4

NAMES = {
    "llava-hf/llava-onevision-qwen2-72b-ov-hf": 72_000_000_000,
    "lmms-lab/LLaVA-Video-72B-Qwen2": 72_000_000_000,
    "Qwen/Qwen2.5-0.5B-Instruct": 500_000_000,
    "Qwen/Qwen3-30B-A3B": 30_000_000_000,
    "meta-llama/Llama-3.1-8B": 8_000_000_000,
    # A mixture's product is not its size, and a name without one has none: the true number counts.
    "mistralai/Mixtral-8x7B-v0.1": None,
    "openai/whisper-large-v3": None,
    "org-7b/model": None,
}


@pytest.mark.parametrize(("name", "parameters"), NAMES.items())
def test_a_name_tells_how_large_people_take_a_model_for(name: str, parameters: int | None) -> None:
    comparison = compared(LLAVA)
    named = replace(comparison, facts=replace(comparison.facts, model=name))
    assert parameters_by_name(named) == (parameters or comparison.facts.parameter_count)


@pytest.mark.parametrize(("key", "gigabytes"), [("cast", 144), ("int8W8A8", 72), ("int4Awq", 36), ("cpuOffload", 144)])
def test_the_rule_of_thumb_is_folklore(key: str, gigabytes: int) -> None:
    comparison = compared(LLAVA)
    assert rule_of_thumb_bytes(comparison, row(comparison, key)) == gigabytes * 10**9


LAYOUTS = {
    ("asStored", H100): ("4", "4 GPUs, TP 4"),
    ("asStored", L40S): ("2 × 4", "2 nodes of 4 GPUs, TP 4, PP 2"),
    ("pipeline", A100): ("7 PP", "7 GPUs, PP 7"),
    ("cpuOffload", H100): ("1", "1 GPU"),
    ("int4Awq", T4): ("16 × 1", "16 nodes of 1 GPU, PP 16"),
}


@pytest.mark.parametrize("case", LAYOUTS, ids=lambda case: " on ".join(case))
def test_a_layout_in_few_characters_and_in_words(case: tuple[str, str]) -> None:
    layout = answer(compared(LLAVA), *case).layout
    assert layout is not None
    assert (layout_text(layout), layout_sentence(layout)) == LAYOUTS[case]


def test_terms_of_a_gpu_add_up_to_the_budget() -> None:
    for found in compared(LLAVA).rows:
        for reply in found.answers:
            if reply.layout is not None:
                figures = gpu_figures(reply.layout)
                terms = (figures.activation_peak, figures.cuda_graphs, figures.non_torch)
                assert figures.weights + figures.kv_cache + sum(terms) + figures.spare == figures.budget
                assert figures.spare >= 0
                assert figures.budget < figures.memory
