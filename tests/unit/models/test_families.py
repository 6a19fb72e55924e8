"""Families against what is published of them, and headers against config.json for every one.

The figures are data, see tests/data/families/README.md.
"""

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoder_cases import DECODERS
from family_cases import EXPERTS, LATENT, MAMBA, QWEN_VISION, SIGLIP, SMALL
from model_cases import DATA, GPUS, V32, engine_config, facts_from, read
from modelserving.engine.rules import refusal
from modelserving.models.facts import AttentionKind, FactsRefusal, ModelFacts, Module, Stage
from modelserving.models.families import FAMILIES, family_of
from modelserving.models.metadata import TensorGroup
from modelserving.sizing.weights import rank_weights
from vision_cases import VISION_CONFIGS, WITH_OTHERS

PUBLISHED: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "families" / "families.jsonl").read_text().splitlines()
]
# A small config for every architecture; what a family needs beyond SMALL.
CONFIGS: dict[str, dict[str, Any]] = {
    **DECODERS,
    "LlamaForCausalLM": {},
    "LLaMAForCausalLM": {},
    "MistralForCausalLM": {},
    "Qwen2ForCausalLM": {},
    "Qwen3ForCausalLM": {"head_dim": 64},
    "Phi3ForCausalLM": {},
    "GraniteForCausalLM": {},
    "Starcoder2ForCausalLM": {},
    "MiMoForCausalLM": {},
    "OPTForCausalLM": {"ffn_dim": 512, "word_embed_proj_dim": 128},
    "Gemma2ForCausalLM": {"head_dim": 64},
    "Gemma3ForCausalLM": {"head_dim": 64},
    "Gemma4ForCausalLM": {
        "head_dim": 64,
        "hidden_size_per_layer_input": 32,
        "num_kv_shared_layers": 1,
        "use_double_wide_mlp": True,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "MixtralForCausalLM": {"num_local_experts": 8, "num_experts_per_tok": 2},
    "Qwen2MoeForCausalLM": {**EXPERTS, "shared_expert_intermediate_size": 256, "decoder_sparse_step": 2},
    "Qwen3MoeForCausalLM": {**EXPERTS, "head_dim": 64, "mlp_only_layers": [0]},
    "GptOssForCausalLM": {"num_local_experts": 8, "num_experts_per_tok": 2, "head_dim": 64},
    "Glm4MoeForCausalLM": {**LATENT, "use_qk_norm": True, "head_dim": 64},
    "MiniMaxM2ForCausalLM": {"num_local_experts": 8, "num_experts_per_tok": 2, "use_routing_bias": True},
    "Llama4ForCausalLM": {"num_local_experts": 8, "interleave_moe_layer_step": 2, "intermediate_size_mlp": 1024},
    "DeepseekV2ForCausalLM": {**LATENT, "q_lora_rank": None, "topk_method": "greedy"},
    "DeepseekV3ForCausalLM": LATENT,
    "DeepseekV32ForCausalLM": {**LATENT, "index_topk": 64, "index_n_heads": 4, "index_head_dim": 128},
    "GlmMoeDsaForCausalLM": {
        **LATENT,
        "index_topk": 64,
        "index_n_heads": 4,
        "index_head_dim": 128,
        "index_topk_pattern": "FSFS",
    },
    "NemotronHForCausalLM": {
        **MAMBA,
        **LATENT,
        "hybrid_override_pattern": "M*-E",
        "moe_latent_size": 64,
        "moe_shared_expert_intermediate_size": 128,
    },
    "Qwen3NextForCausalLM": {**EXPERTS, "head_dim": 64, "full_attention_interval": 2},
    "FalconH1ForCausalLM": {"mamba_n_heads": 8, "mamba_d_ssm": 256, "mamba_rms_norm": True},
    "JambaForCausalLM": {"num_experts": 8, "attn_layer_period": 2, "attn_layer_offset": 1},
    "LlavaForConditionalGeneration": {
        "text_config": SMALL,
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "LlavaNextForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "mistral"},
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "LlavaOnevisionForConditionalGeneration": {"text_config": SMALL, "vision_config": {**SIGLIP, "patch_size": 14}},
    "Qwen2VLForConditionalGeneration": {"vision_config": {"embed_dim": 128, "depth": 2, "num_heads": 4}},
    "Qwen2_5_VLForConditionalGeneration": {"vision_config": QWEN_VISION},
    "Qwen3VLForConditionalGeneration": {"text_config": SMALL, "vision_config": QWEN_VISION},
    "Qwen3VLMoeForConditionalGeneration": {"text_config": {**SMALL, **EXPERTS}, "vision_config": QWEN_VISION},
    "Qwen3_5ForConditionalGeneration": {"text_config": {**SMALL, "head_dim": 64}, "vision_config": QWEN_VISION},
    "Qwen3_5MoeForConditionalGeneration": {
        "text_config": {**SMALL, **EXPERTS, "head_dim": 64},
        "vision_config": QWEN_VISION,
    },
    "Gemma3ForConditionalGeneration": {"text_config": SMALL, "vision_config": {**SIGLIP, "patch_size": 14}},
    "Gemma4ForConditionalGeneration": {
        "text_config": {**SMALL, **EXPERTS, "top_k_experts": 2},
        "vision_config": {**SIGLIP, "standardize": True},
    },
    "Llama4ForConditionalGeneration": {
        "text_config": {**SMALL, "num_local_experts": 8},
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "KimiK25ForConditionalGeneration": {
        "text_config": {**SMALL, **LATENT},
        "vision_config": {"vt_hidden_size": 128, "vt_intermediate_size": 256, "vt_num_hidden_layers": 2},
    },
    "WhisperForConditionalGeneration": {"d_model": 96},
    "LlavaQwenForCausalLM": {"mm_vision_tower": "google/siglip-so400m-patch14-384"},
}

CONFIGS |= VISION_CONFIGS
CONFIGS |= {name: config for name, (core, config) in WITH_OTHERS.items() if family_of(core) is not None}


def config_for(architecture: str) -> dict[str, Any]:
    return {**SMALL, **CONFIGS[architecture], "architectures": [architecture]}


def corrections(facts: ModelFacts) -> int:
    """Biases that correct a router's scores; the published counts leave these buffers of the checkpoint out."""
    return sum(
        module.parameter_count * section.count
        for section in facts.sections
        for module in section.modules
        if module.name.endswith("e_score_correction_bias")
    )


def test_every_architecture_has_a_case() -> None:
    assert set(CONFIGS) | set(WITH_OTHERS) == {
        architecture for family in FAMILIES for architecture in family.architectures
    }
    assert len({row["model"] for row in PUBLISHED}) == len(PUBLISHED) >= 30


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row["model"])
def test_parameters_are_as_many_as_published(row: dict[str, Any]) -> None:
    facts = facts_from(row["config"])
    assert facts.parameter_count - corrections(facts) == row["parameters"] + row["held_besides"]


def tensors_of(facts: ModelFacts, stacked: bool) -> tuple[TensorGroup, ...]:
    """A checkpoint that holds what config.json describes, one tensor a source."""
    groups: dict[str, TensorGroup] = {}
    for section in facts.sections:
        if section.buffers:
            continue
        layers = section.layers if section.stage is Stage.LAYERS else tuple(range(section.repeats))
        for module in section.modules:
            for name, shape, count in stored(module, stacked):
                held = layers if "*" in name else ()
                group = TensorGroup(name, shape, "BF16", count * max(1, len(held)), held)
                groups[f"{name} {held}"] = group
    return tuple(groups.values())


def stored(module: Module, stacked: bool) -> list[tuple[str, tuple[int, ...], int]]:
    if module.tied_to is not None:
        return []
    if module.experts and stacked:
        part = "down_proj" if module.name.endswith("w2") else "gate_up_proj" if len(module.sources) > 1 else "up_proj"
        return [(f"{module.owner}.{part}", (module.experts, sum(module.out_features), module.in_features), 1)]
    sources = module.sources or (module.name,)
    rows = module.out_features
    if len(sources) == 1:
        rows = (sum(rows),)
    elif len(sources) == 2 and len(rows) == 4:
        rows = (sum(rows[:3]), rows[3])
    found: list[tuple[str, tuple[int, ...], int]] = []
    for source, count in zip(sources, rows, strict=True):
        shape = (count,) if module.in_features == 1 else (count, module.in_features)
        found.append((f"{source}.weight", shape, max(1, module.experts)))
        if module.bias and not module.experts:
            found.append((f"{source}.bias", (count,), 1))
    return found


@pytest.mark.parametrize("architecture", [name for name in CONFIGS if name != "LlavaQwenForCausalLM"])
@pytest.mark.parametrize("stacked", [False, True], ids=["experts one by one", "experts stacked"])
def test_headers_and_config_give_the_same_bytes(architecture: str, stacked: bool) -> None:
    described = facts_from(config_for(architecture))
    family = family_of(architecture)
    assert family is not None
    # Names that the family maps are written as vLLM has them: test_two_roads.py holds real names against them.
    read_back = facts_from(config_for(architecture), named(tensors_of(described, stacked), architecture))
    assert read_back.parameter_count == described.parameter_count
    for ranks in (1, 2, 4):
        config = engine_config(described, tensor_parallel_size=ranks)
        if refusal(described, config, GPUS["H100-80"], V32) is None:
            assert rank_weights(read_back, config, V32, 0) == rank_weights(described, config, V32, 0)


def named(groups: tuple[TensorGroup, ...], architecture: str) -> tuple[TensorGroup, ...]:
    """Names in the checkpoint's spelling, where the family's mapping can be turned round."""
    family = family_of(architecture)
    assert family is not None

    def spelled(name: str) -> str:
        if family.vllm_name(name) == name:
            return name
        candidates = [s + name[len(b) :] for s, b in family.prefixes if name.startswith(b)]
        candidates += [name.replace(built, kept) for kept, built in family.renames]
        return next((candidate for candidate in candidates if family.vllm_name(candidate) == name), name)

    return tuple(replace(group, pattern=spelled(group.pattern)) for group in groups)


@pytest.mark.parametrize("architecture", [name for name in CONFIGS if V32.supports(name)])
def test_more_ranks_never_hold_more(architecture: str) -> None:
    facts = facts_from(config_for(architecture))
    sizes = []
    for ranks in (1, 2, 4):
        config = engine_config(facts, tensor_parallel_size=ranks)
        if refusal(facts, config, GPUS["H100-80"], V32) is None:
            sizes.append(rank_weights(facts, config, V32, 0).on_gpu.value)
    assert sizes
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_layer_has_its_attention(architecture: str) -> None:
    facts = facts_from(config_for(architecture))
    held: dict[int, list[AttentionKind]] = defaultdict(list)
    for group in facts.attention:
        for layer in group.layers:
            held[layer].append(group.kind)
    # Layers of Nemotron-H may be MLPs or experts alone, those of DeciLM an MLP.
    if architecture not in ("NemotronHForCausalLM", "NemotronHPuzzleForCausalLM", "DeciLMForCausalLM"):
        assert set(held) == set(range(facts.num_layers))
    assert all(layer < facts.num_layers for layer in held)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([0, -1, 1, 3, "auto", "E*M-", [0, 1], {"": 0}]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=600, deadline=None)
@given(architecture=st.sampled_from(sorted(CONFIGS)), data=st.data())
def test_any_change_of_any_family_gives_facts_or_a_refusal(architecture: str, data: st.DataObject) -> None:
    config = json.loads(json.dumps(config_for(architecture)))
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    part = data.draw(st.sampled_from(parts))
    for key in data.draw(st.lists(st.sampled_from(sorted(part)), min_size=1, max_size=3)):
        part[key] = data.draw(JSON)
    told = read(config)
    assert isinstance(told, FactsRefusal) or told.parameter_count > 0


def test_an_architecture_nobody_described_is_sized_from_its_headers() -> None:
    config = {**SMALL, "architectures": ["Step3p7FlashForCausalLM"]}
    refused = read(config)
    assert isinstance(refused, FactsRefusal)
    assert refused.reason == "UnknownArchitecture"
    like_llama = facts_from({**SMALL, "architectures": ["LlamaForCausalLM"]})
    facts = facts_from(config, tensors_of(like_llama, stacked=False))
    assert any("nobody described" in sentence for sentence in facts.assumptions)
    assert facts.parameter_count == like_llama.parameter_count
    weights, exact = (rank_weights(each, engine_config(each), V32, 0).on_gpu for each in (facts, like_llama))
    assert weights.value == pytest.approx(exact.value, rel=0.01)
    assert weights.low < exact.value < weights.high


def test_linear_layers_of_an_unknown_quantized_family_take_what_they_take() -> None:
    config = {
        **SMALL,
        "architectures": ["NewForCausalLM"],
        "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 64},
    }
    tensors = (TensorGroup("model.layers.*.mlp.up.qweight", (256, 64), "I32", 4, (0, 1, 2, 3)),)
    facts = facts_from(config, tensors)
    weights = rank_weights(facts, engine_config(facts, tensor_parallel_size=2), V32, 0)
    assert weights.on_gpu.value >= 4 * 256 * 64 * 4 // 2
