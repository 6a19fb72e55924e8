"""Every entry of the bundled catalogue proves itself by the parameters its config makes."""

from pathlib import Path

import pytest

from modelserving.cli.estimate_case import Refused, evaluate
from modelserving.cli.estimate_facts import FactsShelf
from modelserving.hub.catalogue import CatalogueEntry, as_metadata, bundled, bundled_text, lookup, parse, render
from modelserving.hub.names import is_commit
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.headers import bytes_of
from modelserving.models.metadata import CheckpointRef, MetadataFailure, Origin
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
# The rest: the same registry, a census of mixtures of experts, and tables with pinned revisions (shown in each entry's source).
HUB_TOTALS = {
    "Qwen/Qwen2-VL-7B-Instruct": 8_291_375_616,
    "Qwen/Qwen2-VL-72B-Instruct": 73_405_560_320,
    "Qwen/Qwen3-30B-A3B": 30_532_122_624,
    "Qwen/Qwen3-235B-A22B": 235_093_634_560,
    "Qwen/Qwen3-Coder-480B-A35B-Instruct": 480_154_875_392,
    "Qwen/Qwen3-Next-80B-A3B-Instruct": 81_324_862_720,
    "Qwen/Qwen3.8-27B": 27_781_427_952,
    "deepseek-ai/DeepSeek-V2": 235_741_434_880,
    "deepseek-ai/DeepSeek-V2-Lite-Chat": 15_706_484_224,
    "google/gemma-2-9b-it": 9_241_705_984,
    "google/gemma-2-27b-it": 27_227_128_320,
    "google/gemma-3-4b-it": 4_300_079_472,
    "google/gemma-3-12b-it": 12_187_325_040,
    "google/gemma-3-27b-it": 27_432_406_640,
    "meta-llama/Llama-2-7b-hf": 6_738_417_664,
    "meta-llama/Llama-3.1-405B-Instruct": 405_853_388_800,
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": 108_641_793_536,
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct": 401_583_781_376,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
    "microsoft/Phi-4-mini-instruct": 3_836_021_760,
    "microsoft/phi-4": 14_659_507_200,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mistral-Nemo-Instruct-2407": 12_247_782_400,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46_702_792_704,
    "mistralai/Mixtral-8x22B-v0.1": 140_620_634_112,
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": 31_577_937_344,
    "nvidia/NVIDIA-Nemotron-Nano-9B-v2": 8_888_227_328,
    "zai-org/GLM-4.5": 358_337_791_296,
    "zai-org/GLM-4.5-Air": 110_468_824_832,
    "zai-org/GLM-5.1": 753_864_139_008,
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

# Stored in the checkpoint and not built by vLLM, or the other way round (below zero), in elements of the stored type.
_TIED_HEAD = "the second copy of a tied head, vocabulary x hidden size"
_AHEAD = "the layers that predict ahead, loaded for speculative decoding only"
_SIGLIP_NORM = "the norm after the last layer of the tower, whose output LLaVA does not use"
_KEY_BIAS = "biases of keys, which vLLM's class holds and the checkpoint lacks"
_ROUTER_BIAS = "the routers' bias, which the count on the Hub leaves out"
NOT_BUILT: dict[str, tuple[int, str]] = {
    "Qwen/Qwen3-0.6B": (151_936 * 1_024, _TIED_HEAD),
    "Qwen/Qwen3-1.7B": (151_936 * 2_048, _TIED_HEAD),
    **{model: (2 * 1_152, _SIGLIP_NORM) for model in REQUIRED if "llava" in model.lower()},
    "meta-llama/Llama-2-7b-hf": (32 * 64, "the frequencies of the rope, a buffer that older checkpoints store"),
    "openai/whisper-large-v3": (-96 * 1_280, _KEY_BIAS),
    "openai/whisper-large-v3-turbo": (-40 * 1_280, _KEY_BIAS),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": (-23 * 128, _ROUTER_BIAS),
    "microsoft/phi-2": (51_200, "the bias of the output head"),
    "Qwen/Qwen3-Next-80B-A3B-Instruct": (1_650_471_424, _AHEAD),
    "Qwen/Qwen3-Next-80B-A3B-Thinking": (1_650_471_424, _AHEAD),
    "Qwen/Qwen3.8-27B": (424_699_392, _AHEAD),
    "zai-org/GLM-4.5": (5_539_962_272, _AHEAD),
    "zai-org/GLM-4.5-Air": (3_616_573_568, _AHEAD),
    "zai-org/GLM-5.1": (9_952_920_576, _AHEAD),
}
# Scales of 8-bit checkpoints come in several widths; what is derived counts them all as the widest. Layers that predict ahead
# are quantized too, and count by their bytes.
QUANTIZED_TOLERANCE = 0.002
STORED_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1}


def not_built(model: str) -> int:
    """Elements that are stored and not built."""
    return NOT_BUILT[model][0] if model in NOT_BUILT else 0


def facts_by_config(model: str) -> ModelFacts:
    """What the family's description makes of the config."""
    metadata = lookup(CheckpointRef(model))
    assert metadata is not None
    facts = read_facts(metadata)
    assert isinstance(facts, ModelFacts), facts
    return facts


UNDESCRIBED = {model for model, entry in bundled().items() if isinstance(read_facts(as_metadata(entry)), FactsRefusal)}
DESCRIBED = [model for model in bundled() if model not in UNDESCRIBED]


def is_quantized(model: str) -> bool:
    return facts_by_config(model).stored_quantization is not None


@pytest.mark.parametrize("model", REQUIRED)
def test_the_models_people_start_with_are_there(model: str) -> None:
    assert model in bundled()


@pytest.mark.parametrize("model", bundled())
def test_every_entry_gives_an_estimate_or_a_reasoned_refusal(model: str) -> None:
    shelf = FactsShelf(Path(), lambda ref: lookup(ref) or MetadataFailure("ModelNotFound", ref.model, retryable=False))
    answered = evaluate({"model": model, "gpu": "NVIDIA-H200", "tensor_parallel_size": 8}, shelf)
    if isinstance(answered, Refused):
        assert answered.reason[0].isupper()
        assert len(answered.message) > 40
        assert (answered.reason == "UnknownArchitecture") == (model in UNDESCRIBED)
    else:
        assert all(rank.weights.value > 0 for rank in answered.memory.ranks)


@pytest.mark.parametrize("model", [model for model in DESCRIBED if not is_quantized(model)])
def test_the_stated_parameters_are_those_the_config_makes(model: str) -> None:
    stated = sum(bundled()[model].parameter_totals.values())
    assert facts_by_config(model).parameter_count + not_built(model) == stated


@pytest.mark.parametrize("model", DESCRIBED)
def test_the_stated_parameters_take_the_bytes_the_config_makes(model: str) -> None:
    entry, made = bundled()[model], facts_by_config(model).checkpoint_bytes
    width = min(STORED_BYTES.get(name, 4) for name in entry.parameter_totals)
    expected, stated = made + width * not_built(model), bytes_of(entry.parameter_totals)
    assert stated == (pytest.approx(expected, rel=QUANTIZED_TOLERANCE) if is_quantized(model) else expected)


def test_what_is_not_built_is_told_of_entries_that_are_there() -> None:
    assert NOT_BUILT.keys() <= bundled().keys()


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


def test_names_are_found_however_they_are_capitalized() -> None:
    found = lookup(CheckpointRef("google/gemma-4-31b-IT"))
    assert found is not None
    assert found.model == "google/gemma-4-31B-it"
    assert len({model.casefold() for model in bundled()}) == len(bundled())


def test_commits_are_whole() -> None:
    stated = [entry.commit for entry in bundled().values() if entry.commit]
    assert len(stated) >= 14
    assert all(is_commit(commit) for commit in stated)


def test_an_entry_survives_being_written() -> None:
    entry = CatalogueEntry("org/a", {"a": [1]}, {"BF16": 1}, "here", "b" * 40, {"hf_quant_config.json": {"b": 2}})
    assert parse(render([entry])) == (entry,)
