"""DBRX: experts in every layer, config.json with names of its own (vLLM 0.32: model_executor/models/dbrx.py)."""

from modelserving.models.families.dense import DenseDecoder
from modelserving.models.families.family import Description, Family
from modelserving.models.families.mixture import Mixture
from modelserving.models.families.sparse import describe_sparse
from modelserving.models.fields import Fields

# Defaults: transformers DbrxConfig, DbrxAttentionConfig and DbrxFFNConfig.
_DECODER = DenseDecoder(
    defaults={
        "hidden_size": 2048,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
    },
    qkv_parts=("qkv_proj",),
)
_MIXTURE = Mixture(num_experts="moe_num_experts", top_k="moe_top_k", intermediate_size="intermediate_size")
_NAMES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "max_position_embeddings": "max_seq_len",
}


def _describe(config: Fields) -> Description:
    attention = config.part("attn_config") or Fields({}, "attn_config")
    experts = config.part("ffn_config") or Fields({}, "ffn_config")
    values = {
        "num_key_value_heads": attention.whole("kv_n_heads", 1),
        "intermediate_size": experts.whole("ffn_hidden_size", 3584),
        "moe_num_experts": experts.whole("moe_num_experts", 4),
        "moe_top_k": experts.whole("moe_top_k", 1),
    }
    return describe_sparse(config.renamed(_NAMES).replaced(values), _DECODER, _MIXTURE)


FAMILY = Family(
    "dbrx",
    ("DbrxForCausalLM",),
    _describe,
    (
        ("transformer.blocks.", "model.layers."),
        ("transformer.wte.", "model.embed_tokens."),
        ("transformer.norm_f.", "model.norm."),
    ),
    (
        (".norm_attn_norm.attn.Wqkv", ".self_attn.qkv_proj"),
        (".norm_attn_norm.attn.out_proj", ".self_attn.o_proj"),
        (".norm_attn_norm.norm_1", ".input_layernorm"),
        (".norm_attn_norm.norm_2", ".post_attention_layernorm"),
        (".ffn.router.layer", ".mlp.gate"),
    ),
)
