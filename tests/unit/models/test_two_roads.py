"""Headers and config.json give the same bytes, on small checkpoints written by the real safetensors library.

Names and shapes of the checkpoints are written down here as the published files of each family have them.
"""

import ctypes
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors

from model_cases import V32, engine_config, facts_from
from modelserving.models import headers
from modelserving.models.metadata import TensorGroup
from modelserving.sizing.weights import rank_weights

Tensors = dict[str, tuple[str, tuple[int, ...]]]
Linear = Callable[[str, int, int], Tensors]

H, INNER, L, V, HEADS, KV = 256, 512, 3, 1024, 4, 2
VISION = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "image_size": 28, "patch_size": 14}

TEXT = {
    "hidden_size": H,
    "intermediate_size": INNER,
    "num_hidden_layers": L,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV,
    "vocab_size": V,
    "max_position_embeddings": 512,
    "torch_dtype": "bfloat16",
}


def write(path: Path, tensors: Tensors) -> tuple[TensorGroup, ...]:
    """Write a checkpoint with the real library; read its header back as the format says, and fold it."""
    widths = {"bfloat16": 2, "float16": 2, "float32": 4, "int32": 4, "int64": 8, "float8_e4m3fn": 1, "int8": 1}
    specs, kept = {}, []
    for name, (dtype, shape) in tensors.items():
        size = widths[dtype]
        for extent in shape:
            size *= extent
        buffer = (ctypes.c_char * size)()
        kept.append(buffer)
        specs[name] = safetensors.TensorSpec(
            dtype=dtype, shape=list(shape), data_ptr=ctypes.addressof(buffer), data_len=size
        )
    safetensors.serialize_file(specs, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    return headers.fold((name, entry["dtype"], tuple(entry["shape"])) for name, entry in header.items())


def plain(name: str, rows: int, columns: int) -> Tensors:
    return {f"{name}.weight": ("bfloat16", (rows, columns))}


def awq(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.qweight": ("int32", (columns, rows // 8)),
        f"{name}.qzeros": ("int32", (columns // 64, rows // 8)),
        f"{name}.scales": ("float16", (columns // 64, rows)),
    }


def gptq(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.qweight": ("int32", (columns // 8, rows)),
        f"{name}.qzeros": ("int32", (columns // 64, rows // 8)),
        f"{name}.scales": ("float16", (columns // 64, rows)),
        f"{name}.g_idx": ("int32", (columns,)),
        f"{name}.bias": ("float16", (rows,)),
    }


def fp8_channel(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.weight": ("float8_e4m3fn", (rows, columns)),
        f"{name}.weight_scale": ("bfloat16", (rows, 1)),
    }


def fp8_block(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.weight": ("float8_e4m3fn", (rows, columns)),
        f"{name}.weight_scale_inv": ("float32", (-(-rows // 128), -(-columns // 128))),
    }


def w8a8(name: str, rows: int, columns: int) -> Tensors:
    return {f"{name}.weight": ("int8", (rows, columns)), f"{name}.weight_scale": ("bfloat16", (rows, 1))}


def w4a16(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.weight_packed": ("int32", (rows, columns // 8)),
        f"{name}.weight_scale": ("bfloat16", (rows, columns // 64)),
        f"{name}.weight_shape": ("int64", (2,)),
    }


def vector(name: str, size: int) -> Tensors:
    return {f"{name}.weight": ("bfloat16", (size,))}


def bias(name: str, size: int) -> Tensors:
    return {f"{name}.bias": ("bfloat16", (size,))}


def decoder(
    root: str = "model.", head: str = "lm_head", linear: Linear = plain, qkv_bias: bool = False, qk_norm: bool = False
) -> Tensors:
    """A decoder as Llama, Qwen and Mistral store it."""
    size = H // HEADS
    found = plain(f"{root}embed_tokens", V, H) | vector(f"{root}norm", H) | plain(head, V, H)
    for index in range(L):
        layer = f"{root}layers.{index}"
        for part, rows in (("q", HEADS * size), ("k", KV * size), ("v", KV * size)):
            found |= linear(f"{layer}.self_attn.{part}_proj", rows, H)
            found |= bias(f"{layer}.self_attn.{part}_proj", rows) if qkv_bias else {}
        found |= linear(f"{layer}.self_attn.o_proj", H, HEADS * size)
        if qk_norm:
            found |= vector(f"{layer}.self_attn.q_norm", size) | vector(f"{layer}.self_attn.k_norm", size)
        found |= linear(f"{layer}.mlp.gate_proj", INNER, H) | linear(f"{layer}.mlp.up_proj", INNER, H)
        found |= linear(f"{layer}.mlp.down_proj", H, INNER)
        found |= vector(f"{layer}.input_layernorm", H) | vector(f"{layer}.post_attention_layernorm", H)
        # Older exports keep this buffer; nothing loads it.
        found |= {f"{layer}.self_attn.rotary_emb.inv_freq": ("float32", (size // 2,))}
    return found


def tower(root: str, layers: int) -> Tensors:
    """A SigLIP encoder, with the post-norm and the pooling head that LLaVA does not use."""
    width, inner = VISION["hidden_size"], VISION["intermediate_size"]
    vision = f"{root}vision_model."
    found: Tensors = {
        f"{vision}embeddings.patch_embedding.weight": ("bfloat16", (width, 3, 14, 14)),
        f"{vision}embeddings.patch_embedding.bias": ("bfloat16", (width,)),
        f"{vision}embeddings.position_embedding.weight": ("bfloat16", (4, width)),
        f"{vision}post_layernorm.weight": ("bfloat16", (width,)),
        f"{vision}post_layernorm.bias": ("bfloat16", (width,)),
        f"{vision}head.probe": ("bfloat16", (1, 1, width)),
    }
    for index in range(layers):
        layer = f"{vision}encoder.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found |= plain(f"{layer}.self_attn.{part}", width, width) | bias(f"{layer}.self_attn.{part}", width)
        found |= plain(f"{layer}.mlp.fc1", inner, width) | bias(f"{layer}.mlp.fc1", inner)
        found |= plain(f"{layer}.mlp.fc2", width, inner) | bias(f"{layer}.mlp.fc2", width)
        for norm in ("layer_norm1", "layer_norm2"):
            found |= vector(f"{layer}.{norm}", width) | bias(f"{layer}.{norm}", width)
    return found


def projector(first: str, second: str) -> Tensors:
    return plain(first, H, VISION["hidden_size"]) | bias(first, H) | plain(second, H, H) | bias(second, H)


def causal(architecture: str, **more: Any) -> dict[str, Any]:
    return {"architectures": [architecture], **TEXT, **more}


def onevision(**more: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlavaOnevisionForConditionalGeneration"],
        "vision_feature_layer": -1,
        "text_config": {"model_type": "qwen2", **TEXT},
        "vision_config": {"model_type": "siglip_vision_model", "num_hidden_layers": 2, **VISION},
        **more,
    }


def compressed(bits: int, kind: str, strategy: str, **weights: Any) -> dict[str, Any]:
    scheme = {"weights": {"num_bits": bits, "type": kind, "strategy": strategy, "symmetric": True, **weights}}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": scheme}, "ignore": ["lm_head"]}


AWQ = {"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 64, "desc_act": False, "sym": True}
NEWLINE: Tensors = {"image_newline": ("bfloat16", (H,))}
NEWER_NEWLINE: Tensors = {"model.image_newline": ("bfloat16", (H,))}


def linear(name: str, rows: int, columns: int, biased: bool = True) -> Tensors:
    return plain(name, rows, columns) | (bias(name, rows) if biased else {})


def layernorm(name: str, size: int) -> Tensors:
    return vector(name, size) | bias(name, size)


def renamed(tensors: Tensors, old: str, new: str) -> Tensors:
    return {name.replace(old, new): spec for name, spec in tensors.items()}


def pixtral() -> Tensors:
    """Pixtral's tower and Mistral 3's projector, as mistralai's newer checkpoints name them."""
    width, inner, root = VISION["hidden_size"], VISION["intermediate_size"], "vision_tower"
    found: Tensors = {f"{root}.patch_conv.weight": ("bfloat16", (width, 3, 14, 14))}
    found |= vector(f"{root}.ln_pre", width)
    for index in range(2):
        layer = f"{root}.transformer.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            found |= plain(f"{layer}.attention.{part}", width, width)
        found |= plain(f"{layer}.feed_forward.gate_proj", inner, width)
        found |= plain(f"{layer}.feed_forward.up_proj", inner, width)
        found |= plain(f"{layer}.feed_forward.down_proj", width, inner)
        found |= vector(f"{layer}.attention_norm", width) | vector(f"{layer}.ffn_norm", width)
    name = "multi_modal_projector"
    found |= vector(f"{name}.norm", width) | plain(f"{name}.patch_merger.merging_layer", width, 4 * width)
    return found | plain(f"{name}.linear_1", H, width) | plain(f"{name}.linear_2", H, H)


def intern_vit(root: str = "model.vision_tower.") -> Tensors:
    """InternViT and InternVL's projector in transformers' names."""
    width, inner = VISION["hidden_size"], VISION["intermediate_size"]
    found: Tensors = {
        f"{root}embeddings.cls_token": ("bfloat16", (1, 1, width)),
        f"{root}embeddings.position_embeddings": ("bfloat16", (1, 5, width)),
        f"{root}embeddings.patch_embeddings.projection.weight": ("bfloat16", (width, 3, 14, 14)),
    }
    found |= bias(f"{root}embeddings.patch_embeddings.projection", width)
    for index in range(2):
        layer = f"{root}encoder.layer.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "projection_layer"):
            found |= linear(f"{layer}.attention.{part}", width, width)
        found |= linear(f"{layer}.mlp.fc1", inner, width) | linear(f"{layer}.mlp.fc2", width, inner)
        found |= layernorm(f"{layer}.layernorm_before", width) | layernorm(f"{layer}.layernorm_after", width)
        found |= {f"{layer}.lambda_{number}": ("bfloat16", (width,)) for number in (1, 2)}
    name = root.replace("vision_tower", "multi_modal_projector")
    found |= layernorm(f"{name}layer_norm", 4 * width)
    return found | linear(f"{name}linear_1", H, 4 * width) | linear(f"{name}linear_2", H, H)


def ear() -> Tensors:
    """Qwen 2 Audio's encoder; its keys have no bias."""
    width, inner, root = 128, 256, "audio_tower"
    found: Tensors = {
        f"{root}.conv1.weight": ("bfloat16", (width, 16, 3)),
        f"{root}.conv2.weight": ("bfloat16", (width, width, 3)),
        f"{root}.embed_positions.weight": ("bfloat16", (100, width)),
    }
    found |= bias(f"{root}.conv1", width) | bias(f"{root}.conv2", width) | layernorm(f"{root}.layer_norm", width)
    for index in range(2):
        layer = f"{root}.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found |= linear(f"{layer}.self_attn.{part}", width, width, part != "k_proj")
        found |= linear(f"{layer}.fc1", inner, width) | linear(f"{layer}.fc2", width, inner)
        found |= layernorm(f"{layer}.self_attn_layer_norm", width) | layernorm(f"{layer}.final_layer_norm", width)
    return found | linear("multi_modal_projector.linear", H, width)


def encoder(root: str = "roberta.") -> Tensors:
    """BERT and RoBERTa."""
    found = plain(f"{root}embeddings.word_embeddings", V, H) | plain(f"{root}embeddings.position_embeddings", 512, H)
    found |= plain(f"{root}embeddings.token_type_embeddings", 2, H) | layernorm(f"{root}embeddings.LayerNorm", H)
    for index in range(L):
        layer = f"{root}encoder.layer.{index}"
        for part in ("query", "key", "value"):
            found |= linear(f"{layer}.attention.self.{part}", H, H)
        found |= linear(f"{layer}.attention.output.dense", H, H) | layernorm(f"{layer}.attention.output.LayerNorm", H)
        found |= linear(f"{layer}.intermediate.dense", INNER, H) | linear(f"{layer}.output.dense", H, INNER)
        found |= layernorm(f"{layer}.output.LayerNorm", H)
    return found


def modern(root: str = "model.") -> Tensors:
    """ModernBERT; its embeddings are normed, so the first layer is not."""
    found = plain(f"{root}embeddings.tok_embeddings", V, H) | vector(f"{root}embeddings.norm", H)
    for index in range(L):
        layer = f"{root}layers.{index}"
        found |= plain(f"{layer}.attn.Wqkv", 3 * H, H) | plain(f"{layer}.attn.Wo", H, H)
        found |= plain(f"{layer}.mlp.Wi", 2 * INNER, H) | plain(f"{layer}.mlp.Wo", H, INNER)
        found |= vector(f"{layer}.mlp_norm", H) | (vector(f"{layer}.attn_norm", H) if index else {})
    return found | vector(f"{root}final_norm", H)


def without_head(tensors: Tensors) -> Tensors:
    return {name: spec for name, spec in tensors.items() if "lm_head" not in name}


def composite(architecture: str, model_type: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "architectures": [architecture],
        "text_config": {**TEXT, "model_type": model_type},
        "vision_config": {"model_type": kind, "num_hidden_layers": 2, **VISION},
        **more,
    }


EAR = {
    "d_model": 128,
    "encoder_ffn_dim": 256,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "num_mel_bins": 16,
    "max_source_positions": 100,
}

CHECKPOINTS: dict[str, tuple[dict[str, Any], Tensors]] = {
    "Mistral 3": (
        composite("Mistral3ForConditionalGeneration", "mistral", "pixtral", tie_word_embeddings=False),
        decoder("language_model.model.", "language_model.lm_head") | pixtral(),
    ),
    "InternVL": (
        composite(
            "InternVLForConditionalGeneration",
            "qwen2",
            "internvl_vision",
            tie_word_embeddings=False,
        )
        | {"vision_config": {"num_hidden_layers": 2, "attention_bias": True, **VISION}},
        decoder("model.language_model.", "lm_head", qkv_bias=True) | intern_vit(),
    ),
    "PaliGemma without a head": (
        composite("PaliGemmaForConditionalGeneration", "gemma2", "siglip_vision_model")
        | {"text_config": {**TEXT, "model_type": "gemma2", "head_dim": H // HEADS}},
        without_head(decoder("language_model.model.", "language_model.lm_head"))
        | {
            f"language_model.model.layers.{index}.{name}_feedforward_layernorm.weight": ("bfloat16", (H,))
            for index in range(L)
            for name in ("pre", "post")
        }
        | {name: spec for name, spec in tower("vision_tower.", 2).items() if ".head." not in name}
        | linear("multi_modal_projector.linear", H, VISION["hidden_size"]),
    ),
    "SmolVLM": (
        composite("SmolVLMForConditionalGeneration", "llama", "smolvlm_vision"),
        decoder("model.text_model.", "lm_head")
        | {
            name.removeprefix("x."): spec
            for name, spec in renamed(tower("x.", 2), "x.vision_model.", "model.vision_model.").items()
            if ".head." not in name
        }
        | plain("model.connector.modality_projection.proj", H, 4 * VISION["hidden_size"]),
    ),
    "Qwen 2 Audio": (
        {
            "architectures": ["Qwen2AudioForConditionalGeneration"],
            "text_config": {**TEXT, "model_type": "qwen2"},
            "audio_config": EAR,
        },
        decoder("language_model.model.", "language_model.lm_head", qkv_bias=True) | ear(),
    ),
    "BERT": (causal("BertModel"), encoder("") | linear("pooler.dense", H, H)),
    "XLM-RoBERTa that scores": (
        causal("XLMRobertaForSequenceClassification", num_labels=1),
        encoder() | linear("classifier.dense", H, H) | linear("classifier.out_proj", 1, H),
    ),
    "ModernBERT": (causal("ModernBertModel"), modern("")),
    "ModernBERT that scores": (
        causal("ModernBertForSequenceClassification", num_labels=1),
        modern() | plain("head.dense", H, H) | vector("head.norm", H) | linear("classifier", 1, H),
    ),
    "Qwen3 that scores": (
        causal("Qwen3ForSequenceClassification", head_dim=H // HEADS, num_labels=1),
        without_head(decoder(qk_norm=True)) | plain("score", 1, H),
    ),
    "Qwen3 that embeds, bare names": (
        causal("Qwen3Model", head_dim=H // HEADS),
        without_head(decoder("", qk_norm=True)),
    ),
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
}


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
