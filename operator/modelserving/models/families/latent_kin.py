"""DeepSeek's layers under other names: A.X K1, Mistral Large 3, Sarvam.

Source: vLLM 0.32 model_executor/models/AXK1.py, mistral_large_3.py, sarvam.py (SarvamMLAForCausalLM).
Defaults: transformers AXK1Config; the others bring config classes of their own.
"""

from modelserving.models.families.decoder import LARGEST_WIDTH, MOST_EXPERTS
from modelserving.models.families.deepseek import Kind, describe_latent
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

_NORMS = ("input_layernorm", "post_attention_layernorm")
_AXK1 = {
    "vocab_size": 163840,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 64,
    "n_shared_experts": 1,
    "n_routed_experts": 192,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "qk_nope_head_dim": 128,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 1,
    "max_position_embeddings": 32768,
    "topk_method": "noaux_tc",
}
# A layer's experts in Sarvam's config.json, where DeepSeek's has other names.
_SARVAM_NAMES = {"n_routed_experts": "num_experts", "n_shared_experts": "num_shared_experts"}


def _axk1(config: Fields) -> Description:
    return describe_latent(config.or_else(_AXK1), kind=Kind(norms=(*_NORMS, "post_mlp_layernorm")))


def _sarvam(config: Fields) -> Description:
    """Shared experts of a size of their own; those of DeepSeek are as large as the routed ones."""
    named = config.renamed(_SARVAM_NAMES).or_else({"n_shared_experts": 1, "first_k_dense_replace": 1})
    size = config.whole("moe_intermediate_size", high=LARGEST_WIDTH)
    if config.whole("moe_shared_expert_intermediate_size", size, high=LARGEST_WIDTH) != size:
        raise config.fail("moe_shared_expert_intermediate_size", f"moe_intermediate_size ({size})")
    named.whole("n_shared_experts", low=0, high=MOST_EXPERTS)
    # Layers with experts are counted from the first of them; DeepSeek counts from 0.
    if config.whole("moe_layer_freq", 1) != 1:
        raise config.fail("moe_layer_freq", "1")
    method = "noaux_tc" if config.flag("moe_router_enable_expert_bias", True) else ""
    return describe_latent(named.replaced({"topk_method": method}), kind=Kind(joined=False))


# mistral_large_3.py, hf_to_vllm_mapper.
_MISTRAL_NAMES = (
    (".attention_norm", ".input_layernorm"),
    (".ffn_norm", ".post_attention_layernorm"),
    (".attention.wq_a", ".self_attn.q_a_proj"),
    (".attention.q_a_norm", ".self_attn.q_a_layernorm"),
    (".attention.wq_b", ".self_attn.q_b_proj"),
    (".attention.wkv_a_with_mqa", ".self_attn.kv_a_proj_with_mqa"),
    (".attention.kv_a_norm", ".self_attn.kv_a_layernorm"),
    (".attention.wkv_b", ".self_attn.kv_b_proj"),
    (".attention.wo", ".self_attn.o_proj"),
    (".feed_forward.w", ".mlp.w"),
    (".shared_experts.w", ".mlp.shared_experts.w"),
    (".experts.*.w", ".mlp.experts.*.w"),
    (".w1", ".gate_proj"),
    (".w2", ".down_proj"),
    (".w3", ".up_proj"),
)
_MISTRAL_PREFIXES = (
    ("layers.", "model.layers."),
    ("norm.", "model.norm."),
    ("tok_embeddings.", "model.embed_tokens."),
    ("output.", "lm_head."),
)

FAMILIES = (
    Family("axk1", ("AXK1ForCausalLM",), _axk1),
    Family("mistral_large_3", ("MistralLarge3ForCausalLM",), describe_latent, _MISTRAL_PREFIXES, _MISTRAL_NAMES),
    Family("sarvam_mla", ("SarvamMLAForCausalLM",), _sarvam),
)
