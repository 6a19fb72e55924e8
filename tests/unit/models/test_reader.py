"""The reader answers whatever it is given: facts or a refusal that names the field."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_cases import V32, config_of, engine_config, facts_from, facts_of, read
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import ModelMetadata, Origin, TensorGroup
from modelserving.models.reader import read_facts
from modelserving.sizing.weights import rank_weights
from modelserving.units import GIB

# Parameters that vLLM's own modules have for these configs, and what published totals say.
PARAMETERS = {
    "llama31-8b": 8_030_261_248,
    "qwen2-72b": 72_706_203_648,
    "qwen2.5-7b": 7_615_616_512,
    "mistral-7b-v01": 7_241_732_096,
    "llava-onevision-72b": 73_179_471_136,
    "llama31-8b-awq": 8_030_261_248,
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**30) | st.just(-1),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=6,
)
MODELS = ("llama31-8b", "qwen2.5-7b", "mistral-7b-v01", "llava-onevision-72b", "llama31-8b-ct-fp8", "llama31-8b-awq")


@pytest.mark.parametrize("model", PARAMETERS)
def test_parameters_are_what_vllm_loads(model: str) -> None:
    assert facts_of(model).parameter_count == PARAMETERS[model]


def test_a_tied_head_counts_once() -> None:
    untied = facts_from(config_of("qwen2.5-7b"))
    tied = facts_from(config_of("qwen2.5-7b", tie_word_embeddings=True))
    assert untied.parameter_count - tied.parameter_count == 152_064 * 3584
    assert tied.checkpoint_bytes == 2 * tied.parameter_count


def test_llava_video_is_sized_and_names_what_runs_instead() -> None:
    facts = facts_of("llava-video-72b-qwen2")
    weights = rank_weights(facts, engine_config(facts), V32, 0)
    assert weights.on_gpu.value / GIB == pytest.approx(136.3, abs=0.05)
    assert facts.runs_instead == "llava-hf/llava-onevision-qwen2-72b-ov-hf"
    assert facts.is_multimodal
    assert "mm_vision_tower" in facts.assumptions[0]


def test_an_unknown_architecture_is_named() -> None:
    told = read({"architectures": ["TomorrowForCausalLM"]})
    assert isinstance(told, FactsRefusal)
    assert told.reason == "UnknownArchitecture"
    assert "TomorrowForCausalLM" in told.message


CHANGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no heads": ("llama31-8b", {"num_attention_heads": 0}, "num_attention_heads is 0"),
    "negative layers": ("llama31-8b", {"num_hidden_layers": -32}, "num_hidden_layers is -32"),
    "a size of thirty digits": ("llama31-8b", {"hidden_size": 10**30}, f"hidden_size is {10**30}"),
    "a size of thousands of digits": ("llama31-8b", {"vocab_size": 10**6000}, "vocab_size is a number of 19932 bits"),
    "not a number": ("llama31-8b", {"intermediate_size": float("nan")}, "intermediate_size is nan"),
    "a text for a number": ("llama31-8b", {"hidden_size": "4096"}, "hidden_size is '4096'"),
    "true for a number": ("llama31-8b", {"num_hidden_layers": True}, "num_hidden_layers is true"),
    "a missing size": ("llama31-8b", {"vocab_size": ...}, "vocab_size is missing"),
    "KV heads that do not divide": ("llama31-8b", {"num_key_value_heads": 7}, "num_key_value_heads is 7"),
    "more heads than width": (
        "qwen2.5-7b",
        {"num_attention_heads": 4096, "num_key_value_heads": 1},
        "num_attention_heads",
    ),
    "architectures that is no list": ("llama31-8b", {"architectures": "LlamaForCausalLM"}, "architectures is 'Llama"),
    "no architecture": ("llama31-8b", {"architectures": []}, "architectures is missing"),
    "an unknown dtype": ("llama31-8b", {"torch_dtype": "int7"}, "torch_dtype is 'int7'"),
    "a dtype that is no text": ("llama31-8b", {"torch_dtype": 16}, "torch_dtype is 16"),
    "a rope factor without end": (
        "llama31-8b",
        {"rope_scaling": {"type": "linear", "factor": 1e300}},
        "factor is 1e+300",
    ),
    "a rope that is a list": ("llama31-8b", {"rope_scaling": [1]}, "rope_scaling is a list"),
    "quantization that is a text": ("llama31-8b", {"quantization_config": "awq"}, "quantization_config is 'awq'"),
    "no text part": ("llava-onevision-72b", {"text_config": ...}, "text_config is missing"),
    "no vision part": ("llava-onevision-72b", {"vision_config": None}, "vision_config is missing"),
    "another language model": (
        "llava-onevision-72b",
        {"text_config": {"model_type": "gemma"}},
        "text_config.model_type",
    ),
    "another vision tower": (
        "llava-onevision-72b",
        {"vision_config": {"model_type": "clip"}},
        "vision_config.model_type",
    ),
    "a feature layer too deep": (
        "llava-onevision-72b",
        {"vision_feature_layer": 40},
        "vision_config.num_hidden_layers",
    ),
    "no feature layers": ("llava-onevision-72b", {"vision_feature_layer": []}, "vision_feature_layer is a list"),
    "an unknown named tower": (
        "llava-video-72b-qwen2",
        {"mm_vision_tower": "openai/clip"},
        "mm_vision_tower is 'openai/clip'",
    ),
    "vision heads that do not divide": (
        "llava-onevision-72b",
        {"vision_config": {"num_attention_heads": 7}},
        "vision_config.num_attention_heads is 7",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_wrong_field_is_named(name: str) -> None:
    model, change, piece = CHANGES[name]
    told = read(config_of(model, **change))
    assert isinstance(told, FactsRefusal)
    assert told.reason == "ConfigInvalid"
    assert piece in told.message


def test_a_config_that_is_no_object_is_refused() -> None:
    told = read([])  # type: ignore[arg-type]
    assert isinstance(told, FactsRefusal)
    assert "must be an object" in told.message


def test_several_feature_layers_keep_the_tower_up_to_the_deepest() -> None:
    deepest = facts_from(config_of("llava-onevision-72b", vision_feature_layer=[3, -3, 7]))
    assert deepest.vision is not None
    assert deepest.vision.num_layers == 24


@pytest.mark.parametrize(
    ("config", "groups", "totals", "dtype", "told"),
    [
        ({"torch_dtype": "float16"}, (), {}, "float16", 0),
        ({"dtype": "bfloat16", "torch_dtype": "float32"}, (), {}, "bfloat16", 0),
        ({"torch_dtype": "torch.bfloat16"}, (), {}, "bfloat16", 0),
        ({}, (), {"BF16": 8_030_261_248}, "bfloat16", 0),
        ({}, (), {"F16": 8_030_000_000, "F32": 261_248}, "float32", 1),
        ({}, (), {}, "float32", 1),
    ],
    ids=["older key", "newer key wins", "written as torch's", "from totals", "of several the wider", "nothing known"],
)
def test_the_stored_dtype_is_found_as_vllm_finds_it(
    config: dict[str, Any], groups: tuple[TensorGroup, ...], totals: dict[str, int], dtype: str, told: int
) -> None:
    facts = facts_from(config_of("llama31-8b", torch_dtype=...) | config, groups, parameter_totals=totals)
    assert facts.stored_dtype == dtype
    assert len(facts.assumptions) == told


def test_a_stated_total_that_differs_is_told() -> None:
    facts = facts_from(config_of("llama31-8b"), parameter_totals={"BF16": 9_000_000_000})
    assert "9,000,000,000" in facts.assumptions[0]
    assert not facts_from(config_of("llama31-8b"), parameter_totals={"BF16": 8_030_261_248}).assumptions


@pytest.mark.parametrize(
    ("model", "precision"),
    [("llama31-8b", "bf16"), ("llama31-8b-awq", "int4"), ("llama31-8b-ct-fp8", "fp8"), ("llama31-8b-bnb", "int4")],
)
def test_precision_is_told_in_the_words_of_the_api(model: str, precision: str) -> None:
    assert facts_of(model).stored_precision == precision


def test_an_unknown_layout_is_an_assumption() -> None:
    assert "bitsandbytes" in facts_of("llama31-8b-bnb").assumptions[0]


def test_sliding_windows_follow_the_family() -> None:
    windows = {
        "absent: Mistral's default": config_of("mistral-7b-v01", sliding_window=...),
        "null: none": config_of("mistral-7b-v01", sliding_window=None),
        "Qwen, switched off": config_of("qwen2.5-7b", sliding_window=4096, use_sliding_window=False),
        "Qwen, from layer 8 on": config_of(
            "qwen2.5-7b", sliding_window=4096, use_sliding_window=True, max_window_layers=8
        ),
        "by layer": config_of(
            "llama31-8b", sliding_window=512, layer_types=["sliding_attention", "full_attention"] * 16
        ),
    }
    found = {
        name: [(group.kind.name, len(group.layers), group.sliding_window) for group in facts_from(config).attention]
        for name, config in windows.items()
    }
    assert found == {
        "absent: Mistral's default": [("SLIDING_WINDOW", 32, 4096)],
        "null: none": [("FULL", 32, None)],
        "Qwen, switched off": [("FULL", 28, None)],
        "Qwen, from layer 8 on": [("FULL", 8, None), ("SLIDING_WINDOW", 20, 4096)],
        "by layer": [("FULL", 16, None), ("SLIDING_WINDOW", 16, 512)],
    }


@settings(max_examples=400, deadline=None)
@given(model=st.sampled_from(MODELS), data=st.data())
def test_any_change_gives_facts_or_a_refusal(model: str, data: st.DataObject) -> None:
    config = config_of(model)
    part: dict[str, Any] = config
    while data.draw(st.booleans()) and (nested := [key for key, value in part.items() if isinstance(value, dict)]):
        part = part[data.draw(st.sampled_from(nested))]
    part[data.draw(st.sampled_from(sorted(part)) | st.text(max_size=5))] = data.draw(JSON)
    check(read(config))


@settings(max_examples=200, deadline=None)
@given(config=st.dictionaries(st.sampled_from(sorted(config_of("llava-onevision-72b"))), JSON), quantization=JSON)
def test_any_json_gives_facts_or_a_refusal(config: dict[str, Any], quantization: Any) -> None:
    config["architectures"] = ["LlavaOnevisionForConditionalGeneration"]
    files = {"hf_quant_config.json": quantization}
    check(read_facts(ModelMetadata("m", "main", Origin.HUB, config, quantization_files=files)))


@settings(max_examples=150, deadline=None)
@given(
    shape=st.lists(st.integers(-1, 2**40), max_size=3).map(tuple),
    pattern=st.sampled_from(["model.embed_tokens.weight", "model.layers.*.self_attn.q_proj.weight", "*", "", "*.*"]),
    dtype=st.sampled_from(["BF16", "I32", "F8_E4M3", "X9"]),
)
def test_any_tensor_gives_facts(shape: tuple[int, ...], pattern: str, dtype: str) -> None:
    check(read(config_of("llama31-8b"), (TensorGroup(pattern, shape, dtype, 32, tuple(range(32))),)))


def check(told: ModelFacts | FactsRefusal) -> None:
    """An answer a person can use: positive sizes that add up, or a sentence."""
    if isinstance(told, FactsRefusal):
        assert told.reason in ("ConfigInvalid", "UnknownArchitecture")
        assert 20 < len(told.message) < 1000
        return
    assert min(told.parameter_count, told.max_model_len, told.hidden_size, told.num_kv_heads, told.head_size) > 0
    assert sum(len(group.layers) for group in told.attention) == told.num_layers
    for section in told.sections:
        assert section.count > 0
        assert all(min(module.in_features, *module.out_features) > 0 for module in section.modules)
    json.dumps(told.assumptions)
