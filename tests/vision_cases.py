"""A small config for every architecture that sees, hears, embeds or scores."""

from typing import Any

from family_cases import EXPERTS, LATENT, QWEN_VISION, SIGLIP, SMALL

EAR = {
    "d_model": 64,
    "encoder_ffn_dim": 128,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "num_mel_bins": 16,
    "max_source_positions": 100,
    "downsample_hidden_size": 16,
}
CLIP_TEXT = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}

VISION_CONFIGS: dict[str, dict[str, Any]] = {
    "LlavaNextVideoForConditionalGeneration": {
        "text_config": SMALL,
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "InternVLForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "qwen2"},
        "vision_config": {**SIGLIP, "patch_size": 14, "use_qk_norm": True, "norm_type": "rms_norm"},
    },
    "InternS1ForConditionalGeneration": {
        "text_config": {**SMALL, **EXPERTS, "model_type": "qwen3_moe"},
        "vision_config": {**SIGLIP, "patch_size": [14, 14], "use_mean_pooling": False},
    },
    "Mistral3ForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "mistral"},
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "LightOnOCRForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "qwen3", "head_dim": 64},
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "PaliGemmaForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "gemma2", "head_dim": 64},
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "ColPaliForRetrieval": {
        "vlm_config": {
            "text_config": {**SMALL, "model_type": "gemma2", "head_dim": 64},
            "vision_config": {**SIGLIP, "patch_size": 14},
        },
    },
    "Idefics3ForConditionalGeneration": {"text_config": SMALL, "vision_config": {**SIGLIP, "patch_size": 14}},
    "SmolVLMForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "llama"},
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "KimiVLForConditionalGeneration": {
        "text_config": {**SMALL, **LATENT, "model_type": "deepseek_v3"},
        "vision_config": SIGLIP,
    },
    "Blip2ForConditionalGeneration": {
        "text_config": {**SMALL, "ffn_dim": 512},
        "vision_config": {**SIGLIP, "patch_size": 14},
        "qformer_config": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4},
    },
    "InternVLChatModel": {
        "llm_config": {**SMALL, "model_type": "qwen2"},
        "vision_config": {**SIGLIP, "patch_size": 14, "qk_normalization": False, "qkv_bias": True},
    },
    "SkyworkR1VChatModel": {
        "llm_config": {**SMALL, "model_type": "qwen2"},
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "MiniCPMV": {"version": 4.5, "head_dim": 64, "vision_config": {**SIGLIP, "patch_size": 14}},
    "Ovis": {
        "llm_config": {**SMALL, "model_type": "qwen2"},
        "visual_tokenizer_config": {"vocab_size": 64, "backbone_config": {**SIGLIP, "patch_size": 14}},
    },
    "PaddleOCRVLForConditionalGeneration": {"head_dim": 64, "vision_config": {**SIGLIP, "patch_size": 14}},
    "AudioFlamingo3ForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "qwen2"},
        "audio_config": {**SIGLIP, "num_mel_bins": 16, "max_source_positions": 100},
    },
    "Qwen2AudioForConditionalGeneration": {"text_config": {**SMALL, "model_type": "qwen2"}, "audio_config": EAR},
    "UltravoxModel": {"text_config": SMALL, "audio_config": EAR, "projector_ln_mid": True},
    "VoxtralForConditionalGeneration": {
        "text_config": SMALL,
        "audio_config": {**SIGLIP, "num_mel_bins": 16, "max_source_positions": 100},
    },
    "Qwen3ASRForConditionalGeneration": {
        "thinker_config": {"text_config": {**SMALL, "head_dim": 64}, "audio_config": EAR},
    },
    "Qwen3ASRRealtimeGeneration": {
        "thinker_config": {"text_config": {**SMALL, "head_dim": 64}, "audio_config": EAR},
    },
    "Qwen2_5OmniModel": {
        "thinker_config": {"text_config": SMALL, "audio_config": EAR, "vision_config": QWEN_VISION},
    },
    "Qwen2_5OmniForConditionalGeneration": {
        "thinker_config": {"text_config": SMALL, "audio_config": EAR, "vision_config": QWEN_VISION},
    },
    "Qwen3OmniMoeForConditionalGeneration": {
        "thinker_config": {
            "text_config": {**SMALL, **EXPERTS, "head_dim": 64},
            "audio_config": EAR,
            "vision_config": QWEN_VISION,
        },
    },
    "GraniteSpeechForConditionalGeneration": {
        "text_config": SMALL,
        "encoder_config": {"hidden_dim": 64, "num_heads": 4, "dim_head": 16, "num_layers": 2, "output_dim": 16},
        "projector_config": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2},
    },
    "BertModel": {},
    "BertForSequenceClassification": {"id2label": {"0": "no", "1": "yes", "2": "perhaps"}},
    "BertForTokenClassification": {},
    "BertForMaskedLM": {},
    "BertSpladeSparseEmbeddingModel": {},
    "RobertaModel": {},
    "RobertaForMaskedLM": {},
    "RobertaForSequenceClassification": {},
    "RobertaForTokenClassification": {"num_labels": 5},
    "XLMRobertaModel": {},
    "XLMRobertaForSequenceClassification": {},
    "XLMRobertaForTokenClassification": {},
    "BgeM3EmbeddingModel": {},
    "GteModel": {},
    "GteNewModel": {"type_vocab_size": 0},
    "GteNewForSequenceClassification": {},
    "NomicBertModel": {"n_embd": 64, "n_head": 4, "n_layer": 2, "activation_function": "gelu"},
    "ModernBertModel": {},
    "ModernBertForSequenceClassification": {},
    "ModernBertForTokenClassification": {"attention_bias": True, "norm_bias": True},
    "CLIPModel": {"text_config": CLIP_TEXT, "vision_config": {**SIGLIP, "patch_size": 14}, "num_hidden_layers": 2},
    "SiglipModel": {"text_config": CLIP_TEXT, "vision_config": {**SIGLIP, "patch_size": 14}, "num_hidden_layers": 2},
    "LlamaModel": {},
    "MistralModel": {},
    "Qwen2Model": {},
    "LlamaBidirectionalModel": {"pooling": "avg"},
    "LlamaBidirectionalForSequenceClassification": {"pooling": "avg"},
    "Qwen2ForRewardModel": {},
    "Qwen2ForProcessRewardModel": {},
    "Gemma3TextModel": {"head_dim": 64, "use_bidirectional_attention": True},
}

GLM_VISION = {"hidden_size": 128, "intermediate_size": 256, "depth": 2, "num_heads": 4, "image_size": 28}
# Families whose language model is described in a file of its own: architecture of that, config.
WITH_OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Glm4vForConditionalGeneration": ("Glm4ForCausalLM", {"text_config": SMALL, "vision_config": GLM_VISION}),
    "Glm46VForConditionalGeneration": ("Glm4ForCausalLM", {"text_config": SMALL, "vision_config": GLM_VISION}),
    "GlmOcrForConditionalGeneration": ("Glm4ForCausalLM", {"text_config": SMALL, "vision_config": GLM_VISION}),
    "Glm4vMoeForConditionalGeneration": (
        "Glm4MoeForCausalLM",
        {"text_config": {**SMALL, **LATENT, "head_dim": 64}, "vision_config": GLM_VISION},
    ),
    "Lfm2VlForConditionalGeneration": (
        "Lfm2ForCausalLM",
        {
            "text_config": {**SMALL, "model_type": "lfm2", "layer_types": ["conv", "full_attention"] * 2},
            "vision_config": SIGLIP,
        },
    ),
    "Cohere2VisionForConditionalGeneration": (
        "Cohere2ForCausalLM",
        {
            "text_config": {**SMALL, "model_type": "cohere2"},
            "vision_config": {**SIGLIP, "patch_size": 14},
            "alignment_intermediate_size": 512,
        },
    ),
}
