"""Every entry of the bundled catalogue proves itself by the parameters its config makes."""

from dataclasses import replace

import pytest

from modelserving.hub.catalogue import CatalogueEntry, bundled, bundled_text, lookup, parse, render
from modelserving.models.facts import ModelFacts
from modelserving.models.headers import bytes_of
from modelserving.models.metadata import CheckpointRef, Origin
from modelserving.models.reader import read_facts

REQUIRED = [
    "lmms-lab/LLaVA-Video-72B-Qwen2",
    "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
    "llava-hf/llava-onevision-qwen2-7b-ov-hf",
    "llava-hf/llava-onevision-qwen2-72b-ov-hf",
    "llava-hf/llava-onevision-qwen2-72b-ov-chat-hf",
    *(f"meta-llama/Llama-3.1-{size}{kind}" for size in ("8B", "70B") for kind in ("", "-Instruct")),
    *(f"meta-llama/Llama-3.2-{size}{kind}" for size in ("1B", "3B") for kind in ("", "-Instruct")),
    "meta-llama/Llama-3.3-70B-Instruct",
    *(f"Qwen/Qwen2-72B{kind}" for kind in ("", "-Instruct", "-Instruct-AWQ")),
    "Qwen/Qwen2-7B-Instruct",
    *(
        f"Qwen/Qwen2.5-{size}B{kind}"
        for size in ("0.5", "1.5", "3", "7", "14", "32", "72")
        for kind in ("", "-Instruct")
    ),
    *(f"Qwen/Qwen2.5-{size}B-Instruct-AWQ" for size in (7, 14, 32, 72)),
    *(f"Qwen/Qwen3-{size}B" for size in ("0.6", "1.7", "4", "8", "14", "32")),
    "mistralai/Mistral-7B-v0.1",
    "mistralai/Mistral-7B-Instruct-v0.2",
    "mistralai/Mistral-7B-Instruct-v0.3",
    "mistralai/Mistral-Nemo-Instruct-2407",
    "mistralai/Mistral-Small-24B-Instruct-2501",
]

# Safetensors totals of the Hub, as quoted in public: PyPI kvfit, scripts/build_registry.py ("exact params from HF safetensors");
# Qwen2.5 below 72B: gimmick benchmark, get_model_sizes(), values read with HfApi().get_safetensors_metadata; Qwen3-0.6B and
# 1.7B: copies of Hub API answers.
HUB_TOTALS = {
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.3-70B-Instruct": 70_553_706_496,
    "meta-llama/Llama-3.2-3B-Instruct": 3_212_749_824,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-1.5B-Instruct": 1_543_714_304,
    "Qwen/Qwen2.5-72B-Instruct": 72_706_203_648,
    "Qwen/Qwen3-0.6B": 751_632_384,
    "Qwen/Qwen3-1.7B": 2_031_739_904,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
}

BF16_BYTES = 2
# Stored in the checkpoint and not built by vLLM: the second copy of a tied head, vocabulary x hidden size; and the norm after
# the last layer of a SigLIP tower (weight and bias of 1,152), whose output LLaVA does not use.
NOT_BUILT = {
    "Qwen/Qwen3-0.6B": 151_936 * 1_024,
    "Qwen/Qwen3-1.7B": 151_936 * 2_048,
} | {model: 2 * 1_152 for model in REQUIRED if "llava" in model.lower()}


def facts_by_config(model: str) -> ModelFacts:
    """What the family's description makes of the config alone."""
    metadata = lookup(CheckpointRef(model))
    assert metadata is not None
    facts = read_facts(replace(metadata, parameter_totals={}))
    assert isinstance(facts, ModelFacts), facts
    return facts


def is_quantized(entry: CatalogueEntry) -> bool:
    return "quantization_config" in entry.config


@pytest.mark.parametrize("model", REQUIRED)
def test_the_models_people_start_with_are_there(model: str) -> None:
    assert model in bundled()


@pytest.mark.parametrize("model", [model for model, entry in bundled().items() if not is_quantized(entry)])
def test_the_stated_parameters_are_those_the_config_makes(model: str) -> None:
    stated = sum(bundled()[model].parameter_totals.values())
    assert facts_by_config(model).parameter_count + NOT_BUILT.get(model, 0) == stated


@pytest.mark.parametrize("model", bundled())
def test_the_stated_parameters_take_the_bytes_the_config_makes(model: str) -> None:
    stated = bytes_of(bundled()[model].parameter_totals)
    assert facts_by_config(model).checkpoint_bytes + BF16_BYTES * NOT_BUILT.get(model, 0) == stated


@pytest.mark.parametrize("model", HUB_TOTALS)
def test_the_stated_parameters_are_the_hub_s(model: str) -> None:
    assert sum(bundled()[model].parameter_totals.values()) == HUB_TOTALS[model]


@pytest.mark.parametrize("model", bundled())
def test_every_entry_names_its_source(model: str) -> None:
    assert len(bundled()[model].source) > 20


def test_the_seed_model_is_sized_as_its_card_says() -> None:
    assert facts_by_config("lmms-lab/LLaVA-Video-72B-Qwen2").checkpoint_bytes / 2**30 == pytest.approx(136.3, abs=0.05)


def test_the_file_is_as_the_generator_writes_it() -> None:
    assert render(parse(bundled_text())) == bundled_text()


def test_a_file_of_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="schema 2"):
        parse('{"schema": 2, "models": {}}')


def test_main_and_commits_are_answered_and_other_branches_are_not() -> None:
    model = "Qwen/Qwen3-8B"
    main, commit = lookup(CheckpointRef(model)), lookup(CheckpointRef(model, "a" * 40))
    assert main is not None
    assert commit is not None
    assert (main.origin, main.revision, commit.revision) == (Origin.CATALOGUE, "main", "a" * 40)
    assert main.config == commit.config
    assert lookup(CheckpointRef(model, "gguf")) is None
    assert lookup(CheckpointRef("org/unheard-of")) is None


def test_an_entry_survives_being_written() -> None:
    entry = CatalogueEntry("org/a", {"a": [1]}, {"BF16": 1}, "here", "b" * 40, {"hf_quant_config.json": {"b": 2}})
    assert parse(render([entry])) == (entry,)
