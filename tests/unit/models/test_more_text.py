"""Text families that are chosen by fields, or that vLLM runs in some forms only."""

from typing import Any

import pytest

from family_cases import LATENT, SMALL
from model_cases import V32, engine_config, facts_from, read
from modelserving.models.facts import AttentionKind, FactsRefusal, ModelFacts
from modelserving.models.families import family_of
from modelserving.models.metadata import TensorGroup
from modelserving.sizing.weights import rank_weights

LAYERS = (0, 1, 2, 3)


def config(architecture: str, **more: Any) -> dict[str, Any]:
    return {**SMALL, "architectures": [architecture], **more}


def names(facts: ModelFacts) -> set[str]:
    return {module.name for section in facts.sections for module in section.modules}


def test_open_pangu_attends_as_its_fields_say() -> None:
    kinds = {"param_sink_number": 16, "qk_nope_dim": 48, "qk_rope_dim": 16, "v_channels": 32}
    sinks = names(facts_from(config("PanguProMoEV2ForCausalLM", **kinds)))
    latent = names(facts_from(config("PanguUltraMoEForCausalLM", **LATENT)))
    plain = names(facts_from(config("PanguEmbeddedForCausalLM")))
    assert "model.layers.*.self_attn.param_sink_key" in sinks
    assert "model.layers.*.self_attn.kv_b_proj" in latent
    assert not any("sink" in name or "kv_b" in name for name in plain)


@pytest.mark.parametrize(
    ("windows", "sliding"), [([128, None], (0, 2)), (128, LAYERS), ([None], ()), ([128, None, None], (0, 3))]
)
def test_open_pangu_repeats_its_windows(windows: Any, sliding: tuple[int, ...]) -> None:
    facts = facts_from(config("PanguEmbeddedForCausalLM", interleaved_sliding_window=windows))
    found = [group.layers for group in facts.attention if group.kind is AttentionKind.SLIDING_WINDOW]
    assert found == ([sliding] if sliding else [])


@pytest.mark.parametrize(
    ("architecture", "fields", "key"),
    [
        ("PanguEmbeddedForCausalLM", {"interleaved_sliding_window": [128, 64]}, "interleaved_sliding_window"),
        ("HF_ColBERT", {"dim": 96}, "dim"),
        ("Step3TextForCausalLM", {}, "moe_layers_enum"),
        ("LagunaForCausalLM", {"num_attention_heads_per_layer": [4, 3, 4, 4]}, "num_attention_heads_per_layer"),
        ("LagunaForCausalLM", {"layer_types": ["full_attention"]}, "layer_types"),
        ("Cohere2MoeForCausalLM", {"mlp_layer_types": ["dense"]}, "mlp_layer_types"),
        ("NemotronHPuzzleForCausalLM", {"block_configs": [{"block_type": "new"}]}, "block_type"),
        ("NemotronHPuzzleForCausalLM", {"block_configs": []}, "block_configs"),
        (
            "SarvamMLAForCausalLM",
            {**LATENT, "num_experts": 8, "moe_shared_expert_intermediate_size": 64},
            "moe_shared_expert_intermediate_size",
        ),
        ("SarvamMLAForCausalLM", {**LATENT, "num_experts": 8, "moe_layer_freq": 2}, "moe_layer_freq"),
        ("LongcatFlashNgramForCausalLM", {"ngram_vocab_size_ratio": 4, "emb_split_num": 64}, "emb_neighbor_num"),
        (
            "LongcatFlashNgramForCausalLM",
            {"ngram_vocab_size_ratio": 4, "emb_split_num": 64, "emb_neighbor_num": 64},
            "emb_split_num",
        ),
    ],
)
def test_what_vllm_does_not_run_is_refused(architecture: str, fields: dict[str, Any], key: str) -> None:
    told = read(config(architecture, **fields))
    assert isinstance(told, FactsRefusal)
    assert key in told.message


def test_a_late_interaction_model_says_when_its_projection_is_elsewhere() -> None:
    facts = facts_from(config("ColBERTModernBertModel"))
    assert any("projection" in sentence for sentence in facts.assumptions)
    assert "colbert_linear" in names(facts_from(config("ColBERTModernBertModel", dim=96)))


def test_loops_keep_a_cache_for_each_run() -> None:
    loops = facts_from(config("IQuestLoopCoderForCausalLM", loop_num=3))
    assert [group.kind for group in loops.attention] == [
        AttentionKind.FULL,
        AttentionKind.SLIDING_WINDOW,
        AttentionKind.SLIDING_WINDOW,
    ]
    cycles = facts_from(config("HrmTextForCausalLM", head_dim=64, H_cycles=2, L_cycles=3))
    assert len(cycles.attention) == 2 * 3 + 2
    assert not loops.supports_pipeline
    assert not cycles.supports_pipeline


def test_names_of_published_checkpoints_are_understood() -> None:
    for architecture, stored, built in (
        ("MistralLarge3ForCausalLM", "layers.3.attention.wkv_a_with_mqa.weight", "kv_a_proj_with_mqa"),
        ("MistralLarge3ForCausalLM", "layers.3.shared_experts.w2.weight", "mlp.shared_experts.down_proj"),
        ("MistralLarge3ForCausalLM", "layers.3.feed_forward.w1.weight", "mlp.gate_proj"),
        ("MistralLarge3ForCausalLM", "layers.3.experts.*.w3.weight", "mlp.experts.*.up_proj"),
        ("Plamo3ForCausalLM", "model.layers.layers.3.mixer.qkv_proj.weight", "mixer.qkv_proj"),
        ("BailingMoeV2_5ForCausalLM", "model.layers.3.attention.dense.weight", "self_attn.dense"),
        ("PanguUltraMoEForCausalLM", "model.layers.3.mlp.e_score_correction_bias", "mlp.gate.e_score_correction_bias"),
    ):
        family = family_of(architecture)
        assert family is not None
        assert family.vllm_name(stored).removesuffix(".weight") in (
            f"model.layers.3.{built}",
            f"model.layers.3.self_attn.{built}",
        )


def test_a_gate_of_loops_is_read_from_its_headers() -> None:
    described = facts_from(config("IQuestLoopCoderForCausalLM"))
    groups = (
        TensorGroup("model.embed_tokens.weight", (1024, 256), "BF16", 1, ()),
        TensorGroup("lm_head.weight", (1024, 256), "BF16", 1, ()),
        TensorGroup("model.norm.weight", (256,), "BF16", 1, ()),
        TensorGroup("gate_projections.*.weight", (4, 64), "BF16", 4, LAYERS),
        TensorGroup("gate_projections.*.bias", (4,), "BF16", 4, LAYERS),
        *(
            TensorGroup(f"model.layers.*.{name}.weight", shape, "BF16", 4, LAYERS)
            for name, shape in (
                ("self_attn.q_proj", (256, 256)),
                ("self_attn.k_proj", (128, 256)),
                ("self_attn.v_proj", (128, 256)),
                ("self_attn.o_proj", (256, 256)),
                ("mlp.gate_proj", (512, 256)),
                ("mlp.up_proj", (512, 256)),
                ("mlp.down_proj", (256, 512)),
                ("input_layernorm", (256,)),
                ("post_attention_layernorm", (256,)),
            )
        ),
    )
    stored = facts_from(config("IQuestLoopCoderForCausalLM"), groups)
    assert stored.parameter_count == described.parameter_count
    engine = engine_config(described)
    assert rank_weights(stored, engine, V32, 0) == rank_weights(described, engine, V32, 0)
