"""Names of tensors as checkpoints have them lead to modules of their family, where its tower is too large to write down.

Names: the mappers and `load_weights` of vLLM 0.32's classes (deepseek_vl2.py, deepseek_ocr.py, phi3v.py, molmo.py, glm4v.py
and others).
"""

import pytest

from model_cases import V32, engine_config, facts_from
from modelserving.models.families import family_of
from modelserving.sizing.weights import rank_weights
from unit.models.test_families import config_for

PUBLISHED = [
    ("DeepseekVLV2ForCausalLM", "language.model.layers.0.self_attn.o_proj.weight"),
    ("DeepseekVLV2ForCausalLM", "vision.blocks.0.mlp.fc1.weight"),
    ("DeepseekVLV2ForCausalLM", "vision.attn_pool.kv.bias"),
    ("DeepseekVLV2ForCausalLM", "projector.layers.2.weight"),
    ("DeepseekOCRForCausalLM", "model.layers.0.self_attn.q_proj.weight"),
    ("DeepseekOCRForCausalLM", "model.sam_model.blocks.2.attn.rel_pos_h"),
    ("DeepseekOCRForCausalLM", "model.vision_model.transformer.layers.0.self_attn.qkv_proj.weight"),
    ("DeepseekOCRForCausalLM", "model.projector.layers.weight"),
    ("DeepseekOCRForCausalLM", "model.view_seperator"),
    ("DeepseekOCR2ForCausalLM", "model.qwen2_model.model.model.layers.0.self_attn.q_proj.weight"),
    ("DeepseekOCR2ForCausalLM", "model.qwen2_model.query_768.weight"),
    ("Phi3VForCausalLM", "model.layers.0.self_attn.qkv_proj.weight"),
    ("Phi3VForCausalLM", "model.vision_embed_tokens.glb_GN"),
    ("Phi3VForCausalLM", "model.vision_embed_tokens.img_projection.2.weight"),
    ("Phi3VForCausalLM", "model.vision_embed_tokens.img_processor.vision_model.encoder.layers.0.mlp.fc1.weight"),
    ("MolmoForCausalLM", "model.transformer.blocks.0.att_proj.weight"),
    ("MolmoForCausalLM", "model.transformer.blocks.0.ff_out.weight"),
    ("MolmoForCausalLM", "model.transformer.ff_out.weight"),
    ("MolmoForCausalLM", "model.transformer.wte.new_embedding"),
    ("MolmoForCausalLM", "model.vision_backbone.image_vit.transformer.resblocks.0.attention.wq.weight"),
    ("MolmoForCausalLM", "model.vision_backbone.image_projector.w3.weight"),
    ("Phi4MMForCausalLM", "model.layers.0.self_attn.qkv_proj.base_layer.weight"),
    ("Phi4MMForCausalLM", "model.embed_tokens_extend.image_embed.img_projection.2.weight"),
    ("Phi4MMForCausalLM", "model.embed_tokens_extend.audio_embed.audio_projection.vision.0.weight"),
    ("Phi4MMForCausalLM", "model.embed_tokens_extend.audio_embed.encoder.encoders.0.conv.glu.b1"),
    ("Gemma3nForConditionalGeneration", "model.language_model.embed_tokens_per_layer.weight"),
    ("Gemma3nForConditionalGeneration", "model.language_model.layers.0.altup.modality_router.weight"),
    ("Gemma3nForConditionalGeneration", "model.vision_tower.timm_model.blocks.2.9.attn.key.down_conv.weight"),
    ("Gemma3nForConditionalGeneration", "model.audio_tower.conformer.0.attention.attn.per_dim_scale"),
    ("NemotronH_Nano_VL_V2", "language_model.backbone.layers.0.mixer.in_proj.weight"),
    ("NemotronH_Nano_VL_V2", "vision_model.radio_model.model.blocks.0.attn.qkv.weight"),
    ("MoonshotKimiaForCausalLM", "model.vq_adaptor.layers.3.weight"),
    ("Molmo2ForConditionalGeneration", "model.transformer.blocks.0.mlp.ff_proj.weight"),
    ("Molmo2ForConditionalGeneration", "model.vision_backbone.image_pooling_2d.wk.weight"),
    ("GLM4VForCausalLM", "transformer.encoder.layers.0.mlp.dense_h_to_4h.weight"),
    ("GLM4VForCausalLM", "transformer.vision.transformer.layers.0.attention.query_key_value.weight"),
    ("GLM4VForCausalLM", "transformer.vision.linear_proj.dense_h_to_4h.weight"),
    ("GLM4VForCausalLM", "transformer.vision.linear_proj.dense_4h_to_h.weight"),
]
# Figures of vLLM's class before anything is loaded, one by number of ranks (TP 1, 2, 4), for the sizes in PHI35.
PHI35 = {
    "architectures": ["Phi3VForCausalLM"],
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32064,
    "max_position_embeddings": 131072,
    "original_max_position_embeddings": 4096,
    "rope_scaling": {"type": "su", "short_factor": [1.0] * 48, "long_factor": [1.0] * 48},
    "img_processor": {"image_dim_out": 1024},
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
BUILT = {1: 8492774400, 2: 4317179904, 4: 2198973952}
# What the allocator takes for its second embedding, 32064 x 3072 over as many ranks, in steps of 2 MiB.
SECOND_EMBEDDING = {1: 188 * 2**20, 2: 94 * 2**20, 4: 48 * 2**20}


@pytest.mark.parametrize(("architecture", "name"), PUBLISHED)
def test_a_published_name_is_that_of_a_module(architecture: str, name: str) -> None:
    family = family_of(architecture)
    assert family is not None
    sources = {
        source.replace("*", "0", 1)
        for section in facts_from(config_for(architecture)).sections
        for module in section.modules
        for source in module.sources or (module.name,)
    }
    ours = family.vllm_name(name)
    assert ours in sources or ours.rpartition(".")[0] in sources


@pytest.mark.parametrize("ranks", BUILT)
def test_phi3_vision_keeps_one_embedding_of_the_two_that_are_built(ranks: int) -> None:
    """vLLM's class drops one while it loads (phi3v.py, load_weights), which the figures do not have: source only."""
    facts = facts_from(PHI35)
    assert facts.max_model_len == 4096
    held = rank_weights(facts, engine_config(facts, tensor_parallel_size=ranks), V32, 0).on_gpu
    assert held.value == BUILT[ranks] - SECOND_EMBEDDING[ranks]
