"""Small checkpoints of models that see, hear, embed or score: names and shapes as published files have them."""

from typing import Any

from checkpoint_cases import HEADS, INNER, TEXT, VISION, H, L, Tensors, V, bias, causal, decoder, plain, tower, vector


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

VISION_CHECKPOINTS: dict[str, tuple[dict[str, Any], Tensors]] = {
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
}
