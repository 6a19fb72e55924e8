"""Headers and config.json give the same bytes, on small checkpoints written by the real safetensors library.

Names and shapes of the checkpoints are written down here as the published files of each family have them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkpoint_cases import (
    HEADS,
    INNER,
    H,
    L,
    Tensors,
    awq,
    causal,
    compressed,
    decoder,
    fp8_block,
    fp8_channel,
    gptq,
    onevision,
    projector,
    tower,
    w4a16,
    w8a8,
    write,
)
from model_cases import V32, engine_config, facts_from
from modelserving.sizing.weights import rank_weights
from vision_checkpoints import VISION_CHECKPOINTS

AWQ = {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False, "sym": True}
NEWLINE: Tensors = {"image_newline": ("bfloat16", (H,))}
NEWER_NEWLINE: Tensors = {"model.image_newline": ("bfloat16", (H,))}

CHECKPOINTS: dict[str, tuple[dict[str, Any], Tensors]] = {
    "Llama": (causal("LlamaForCausalLM"), decoder()),
    "Llama with a tied head that is stored all the same": (
        causal("LlamaForCausalLM", tie_word_embeddings=True),
        decoder(),
    ),
    "Mistral": (causal("MistralForCausalLM", sliding_window=None), decoder()),
    "Qwen2": (causal("Qwen2ForCausalLM"), decoder(qkv_bias=True)),
    "Qwen3": (causal("Qwen3ForCausalLM", head_dim=H // HEADS), decoder(qk_norm=True)),
    "Llama in AWQ": (causal("LlamaForCausalLM", quantization_config=AWQ), decoder(linear=awq)),
    "Qwen2 in GPTQ": (
        causal("Qwen2ForCausalLM", quantization_config=GPTQ),
        decoder(linear=gptq, qkv_bias=True),
    ),
    "Llama in GPTQ, zero biases stored": (causal("LlamaForCausalLM", quantization_config=GPTQ), decoder(linear=gptq)),
    "Llama in fp8 by channel": (
        causal("LlamaForCausalLM", quantization_config=compressed(8, "float", "channel")),
        decoder(linear=fp8_channel),
    ),
    "Qwen3 in fp8 by block": (
        causal(
            "Qwen3ForCausalLM",
            head_dim=H // HEADS,
            quantization_config={"quant_method": "fp8", "weight_block_size": [64, 64]},
        ),
        decoder(linear=fp8_block, qk_norm=True),
    ),
    "Llama in w8a8": (
        causal("LlamaForCausalLM", quantization_config=compressed(8, "int", "channel")),
        decoder(linear=w8a8),
    ),
    "Llama in w4a16": (
        causal("LlamaForCausalLM", quantization_config=compressed(4, "int", "group", group_size=64)),
        decoder(linear=w4a16),
    ),
    "LLaVA-OneVision, older names": (
        onevision(),
        decoder("language_model.model.", "language_model.lm_head", qkv_bias=True)
        | tower("vision_tower.", 2)
        | projector("multi_modal_projector.linear_1", "multi_modal_projector.linear_2")
        | NEWLINE,
    ),
    "LLaVA-OneVision, newer names, one layer more than is used": (
        onevision(vision_feature_layer=-2),
        decoder("model.language_model.", "lm_head", qkv_bias=True)
        | tower("model.vision_tower.", 2)
        | projector("model.multi_modal_projector.linear_1", "model.multi_modal_projector.linear_2")
        | NEWER_NEWLINE,
    ),
} | VISION_CHECKPOINTS


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_both_roads_give_the_same_bytes(name: str, ranks: int, tmp_path: Path) -> None:
    config, tensors = CHECKPOINTS[name]
    by_config = facts_from(config)
    by_headers = facts_from(config, write(tmp_path / "model.safetensors", tensors))
    assert by_headers.assumptions == by_config.assumptions == ()
    assert replace(by_headers, checkpoint_bytes=0) == replace(by_config, checkpoint_bytes=0)
    for version in (V32,):
        engine = engine_config(by_config, tensor_parallel_size=ranks)
        assert rank_weights(by_headers, engine, version, 0) == rank_weights(by_config, engine, version, 0)


def test_the_lmms_format_agrees_too_with_the_tower_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelserving.models.families import llava_qwen
    from modelserving.models.families.siglip import Siglip

    # The named tower is 400 million parameters: a small one stands in for it.
    monkeypatch.setitem(llava_qwen._TOWERS, "small", Siglip(128, 256, 2, 4, 28, 14))
    config = causal("LlavaQwenForCausalLM", mm_vision_tower="small")
    tensors = (
        decoder(qkv_bias=True)
        | tower("model.vision_tower.vision_tower.", 2)
        | projector("model.mm_projector.0", "model.mm_projector.2")
        | NEWER_NEWLINE
    )
    by_headers, by_config = facts_from(config, write(tmp_path / "model.safetensors", tensors)), facts_from(config)
    assert by_headers.sections == by_config.sections
    assert by_headers.assumptions == by_config.assumptions


def test_bytes_on_disk_are_derived_as_they_are_stored(tmp_path: Path) -> None:
    for name in ("Llama", "Mistral", "Qwen2", "Qwen3", "Llama in AWQ", "Llama in w4a16"):
        config, tensors = CHECKPOINTS[name]
        by_headers = facts_from(config, write(tmp_path / "model.safetensors", tensors))
        assert facts_from(config).checkpoint_bytes == pytest.approx(by_headers.checkpoint_bytes, rel=0.002), name


def test_layers_that_stay_in_16_bits_are_seen_in_the_headers(tmp_path: Path) -> None:
    config, tensors = CHECKPOINTS["Llama in AWQ"]
    last = f"model.layers.{L - 1}."
    mixed = {name: spec for name, spec in tensors.items() if not name.startswith(last)}
    mixed |= {name: spec for name, spec in decoder().items() if name.startswith(last)}
    facts = facts_from(config, write(tmp_path / "model.safetensors", mixed))
    layers = [section for section in facts.sections if section.layers and not section.buffers]
    assert [section.layers for section in layers] == [(0, 1), (2,)]
    assert [section.modules[0].quantized for section in layers] == [True, False]
    same = facts_from(config | {"quantization_config": AWQ | {"modules_to_not_convert": [last]}})
    assert same.sections == facts.sections


def without(*parts: str) -> Tensors:
    return {name: spec for name, spec in decoder().items() if not any(part in name for part in parts)}


WIDER: Tensors = {"model.layers.0.mlp.gate_proj.weight": ("bfloat16", (INNER, 2 * H))}
ODD_HEADS: Tensors = {"model.layers.0.self_attn.q_proj.weight": ("bfloat16", (H + 1, H))}
SCALAR: Tensors = {"model.norm.weight": ("bfloat16", ())}
PACKED: Tensors = {"model.layers.0.self_attn.o_proj.qweight": ("int32", (H, H // 8))}


@pytest.mark.parametrize(
    ("tensors", "piece"),
    [
        (without("layers.1.mlp.down_proj"), "model.layers.1.mlp.down_proj.weight is missing"),
        (decoder() | WIDER, "differ in their input size"),
        (decoder() | ODD_HEADS, "(257, 128, 128) rows"),
        (decoder() | SCALAR, "model.norm.weight has the shape []"),
        (without("layers.0.self_attn.o_proj") | PACKED, "not explained by config.json"),
    ],
    ids=["a tensor is missing", "fused parts differ", "rows are no heads", "a scalar", "packed without a description"],
)
def test_headers_that_do_not_add_up_fall_back_to_config(tensors: Tensors, piece: str, tmp_path: Path) -> None:
    facts = facts_from(causal("LlamaForCausalLM"), write(tmp_path / "model.safetensors", tensors))
    assert facts.sections == facts_from(causal("LlamaForCausalLM")).sections
    assert piece in facts.assumptions[0]


def test_headers_that_contradict_config_win_and_are_told(tmp_path: Path) -> None:
    tensors = write(tmp_path / "model.safetensors", decoder())
    facts = facts_from(causal("LlamaForCausalLM", intermediate_size=2 * INNER), tensors)
    assert facts.parameter_count == facts_from(causal("LlamaForCausalLM")).parameter_count
    assert "the headers were used" in facts.assumptions[0]


def test_tensors_nobody_loads_are_told(tmp_path: Path) -> None:
    extra: Tensors = {"adapter.weight": ("float32", (H, H))}
    facts = facts_from(causal("LlamaForCausalLM"), write(tmp_path / "model.safetensors", decoder() | extra))
    assert "'adapter.weight'" in facts.assumptions[0]
