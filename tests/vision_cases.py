"""A small config for every architecture that sees, hears, embeds or scores."""

from typing import Any

from family_cases import EXPERTS, LATENT, MAMBA, QWEN_VISION, SIGLIP, SMALL

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
QWEN3_SMALL = {**SMALL, "model_type": "qwen3", "head_dim": 64}
# DeepSeek V2 without latent attention.
DEEPSEEK_SMALL = {**SMALL, **LATENT, "num_key_value_heads": 4, "qk_nope_head_dim": 0, "qk_rope_head_dim": 0}
GEMMA3N_SMALL = {
    "head_dim": 64,
    "intermediate_size": [512, 512, 256, 256],
    "num_kv_shared_layers": 2,
    "vocab_size_per_layer_input": 1024,
    "hidden_size_per_layer_input": 32,
    "laurel_rank": 16,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
}
STEP3_SMALL = {
    "head_dim": 64,
    "share_q_dim": 64,
    "moe_num_experts": 8,
    "moe_top_k": 2,
    "moe_intermediate_size": 128,
    "share_expert_dim": 128,
    "moe_layers_enum": "1,2,3",
}
OCR_PROJECTOR = {"projector_type": "linear", "input_dim": 2048, "n_embed": 256}

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
    "DeepseekVLV2ForCausalLM": {"language_config": {**SMALL, **LATENT}, "candidate_resolutions": [[384, 768]]},
    "DeepseekOCRForCausalLM": {"language_config": DEEPSEEK_SMALL, "projector_config": OCR_PROJECTOR},
    "DeepseekOCR2ForCausalLM": {
        "language_config": DEEPSEEK_SMALL,
        "projector_config": {**OCR_PROJECTOR, "input_dim": 896},
    },
    "DotsOCRForCausalLM": {"vision_config": {**SIGLIP, "embed_dim": 128, "hidden_size": 256, "patch_size": 14}},
    "Phi3VForCausalLM": {"img_processor": {"image_dim_out": 1024}},
    "MolmoForCausalLM": {"qkv_bias": True, "attention_layer_norm": True},
    "GLM4VForCausalLM": {
        "ffn_hidden_size": 512,
        "vision_config": {**SIGLIP, "patch_size": 14, "num_positions": 5, "num_heads": 4},
    },
    "StepVLForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "qwen3", "head_dim": 64},
        "vision_config": {
            "width": 128,
            "layers": 2,
            "heads": 4,
            "image_size": 56,
            "patch_size": 14,
            "use_cls_token": True,
            "ls_init_value": 0.1,
        },
    },
    "Ovis2_5": {"llm_config": QWEN3_SMALL, "vit_config": {**SIGLIP, "patch_size": 14}, "visual_vocab_size": 64},
    "Ovis2_6ForCausalLM": {"llm_config": QWEN3_SMALL, "vit_config": {**SIGLIP, "num_patches": 9, "patch_size": 14}},
    "Ovis2_6_MoeForCausalLM": {
        "llm_config": {**SMALL, **EXPERTS, "model_type": "qwen3_moe"},
        "vit_config": {**SIGLIP, "patch_size": 14, "preserve_original_pe": False},
    },
    "KeyeForConditionalGeneration": {"head_dim": 64, "vision_config": {**SIGLIP, "patch_size": 14}},
    "KeyeVL1_5ForConditionalGeneration": {"head_dim": 64, "vision_config": {**SIGLIP, "patch_size": 14}},
    "Ernie4_5_VLMoeForConditionalGeneration": {
        "moe_num_experts": [8, 8],
        "moe_intermediate_size": [128, 64],
        "moe_k": 2,
        "moe_num_shared_experts": 2,
        "moe_layer_start_index": [1, 1],
        "moe_layer_end_index": [4, 2],
        "pixel_hidden_size": 128,
        "im_patch_id": 100,
        "vision_config": {"hidden_size": 128, "depth": 2, "num_heads": 4},
    },
    "NVLM_D": {
        "llm_config": {**SMALL, "model_type": "qwen2"},
        "vision_config": {**SIGLIP, "num_attention_heads": 1, "patch_size": 14},
    },
    "H2OVLChatModel": {
        "llm_config": {**SMALL, "model_type": "mistral"},
        "vision_config": {**SIGLIP, "patch_size": 14, "qk_normalization": False, "norm_type": "layer_norm"},
    },
    "AriaForConditionalGeneration": {
        "text_config": {**SMALL, "moe_num_experts": 8, "moe_topk": 2},
        "vision_config": {**SIGLIP, "patch_size": 14},
        "projector_patch_to_query_dict": {"4": 2, "16": 4},
    },
    "Granite4VisionForConditionalGeneration": {
        "text_config": {**SMALL, "model_type": "granite"},
        "vision_config": {**SIGLIP, "patch_size": 14},
        "deepstack_layer_map": [[-2, 1], [-1, 0]],
    },
    "LlavaOnevision2ForConditionalGeneration": {
        "text_config": QWEN3_SMALL,
        "vision_config": {**SIGLIP, "patch_size": 14},
    },
    "IsaacForConditionalGeneration": {"head_dim": 64, "vision_config": {**SIGLIP, "pixel_shuffle_scale_factor": 2}},
    "GlmAsrForConditionalGeneration": {"text_config": SMALL, "audio_config": {**SIGLIP, "num_mel_bins": 16}},
    "Gemma3nForCausalLM": GEMMA3N_SMALL,
    "Gemma3nForConditionalGeneration": {
        "text_config": {**SMALL, **GEMMA3N_SMALL},
        "vision_config": {"architecture": "mobilenetv5_300m_enc"},
        "audio_config": {"hidden_size": 128, "conf_num_attention_heads": 4, "conf_num_hidden_layers": 2},
    },
    "MiniCPMO": {"version": "2.6", "vision_config": {**SIGLIP, "patch_size": 14}, "audio_config": EAR},
    "MiniCPMV4_6ForConditionalGeneration": {
        "text_config": {**SMALL, "head_dim": 64},
        "vision_config": {**SIGLIP, "patch_size": 14},
        "drop_vision_last_layer": True,
    },
    "Phi4MMForCausalLM": {
        "audio_processor": {
            "config": {"attention_dim": 128, "attention_heads": 4, "num_blocks": 2, "linear_units": 64}
        },
    },
    "MoonshotKimiaForCausalLM": {},
    "Molmo2ForConditionalGeneration": {
        "text_config": {**SMALL, "head_dim": 64, "use_qk_norm": True, "rope_scaling_layers": [0]},
        "vit_config": {
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 10,
            "num_attention_heads": 4,
            "image_num_pos": 16,
        },
        "adapter_config": {"hidden_size": 128, "num_attention_heads": 4, "head_dim": 32, "intermediate_size": 256},
    },
    "NemotronH_Nano_VL_V2": {
        "llm_config": {**SMALL, **MAMBA, "model_type": "nemotron_h", "hybrid_override_pattern": "M*M*"},
        "vision_config": {"args": {"model": "vit_small_patch16_224", "cpe_max_size": 64, "register_multiple": 4}},
        "projector_hidden_size": 64,
    },
    "Step3TextForCausalLM": STEP3_SMALL,
    "Step3VLForConditionalGeneration": {
        "text_config": {**SMALL, **STEP3_SMALL},
        "vision_config": {**SIGLIP, "patch_size": 14, "output_hidden_size": 64},
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
