"""Dense decoders whose config.json and tensors have names of their own: ChatGLM, InternLM 2, EXAONE 3, TeleChat 2.

Source: vLLM 0.32 model_executor/models/chatglm.py, internlm2.py, exaone.py, telechat2.py. Their modules are named as
Llama's here.
"""

from dataclasses import replace

from modelserving.models.facts import Module
from modelserving.models.families.decoder import read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp
from modelserving.models.fields import Fields

_CHATGLM_NAMES = {
    "num_hidden_layers": "num_layers",
    "intermediate_size": "ffn_hidden_size",
    "head_dim": "kv_channels",
    "max_position_embeddings": "seq_length",
}
_ROTATED = 0.5
_INTERNLM2 = DenseDecoder(qkv_bias="bias", output_bias="bias", qkv_parts=("qkv_proj",))
_EXAONE = DenseDecoder(qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias")
# Biases on the projections back to the model's width only.
_TELECHAT2 = DenseDecoder(output_bias=True, tied=True)


def _chatglm(config: Fields) -> Description:
    """Defaults: vLLM's ChatGLMConfig (transformers_utils/configs/chatglm.py)."""
    named = config.renamed(_CHATGLM_NAMES)
    heads = config.raw("multi_query_group_num") if config.flag("multi_query_attention") else None
    values = {
        "num_key_value_heads": heads or named.raw("num_attention_heads"),
        "vocab_size": config.raw("padded_vocab_size") or config.raw("vocab_size"),
    }
    linear_bias = config.flag("add_bias_linear")
    decoder = DenseDecoder(
        qkv_bias=linear_bias or config.flag("add_qkv_bias"),
        output_bias=linear_bias,
        mlp_bias=linear_bias,
        mlp="joined",
        qkv_parts=("qkv_proj",),
        norm_bias=not config.flag("rmsnorm", True),
        final_norm=config.flag("post_layer_norm", True),
        default_partial=_ROTATED,
    )
    return describe_dense(named.replaced(values), decoder)


def _exaone(config: Fields) -> Description:
    return describe_dense(config.renamed({"num_hidden_layers": "num_layers"}), _EXAONE)


def _telechat2(config: Fields) -> Description:
    names = {
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "ffn_hidden_size",
        "max_position_embeddings": "seq_length",
    }
    named = config.renamed(names)
    shape = read_shape(named)

    def mlp(index: int, root: str) -> tuple[Module, ...]:
        joined, down = gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size)
        return (joined, replace(down, bias=True))

    return describe_dense(named, _TELECHAT2, feed_forward=mlp)


CHATGLM = Family(
    "chatglm",
    ("ChatGLMModel", "ChatGLMForConditionalGeneration"),
    _chatglm,
    (
        ("transformer.embedding.word_embeddings.", "model.embed_tokens."),
        ("transformer.encoder.layers.", "model.layers."),
        ("transformer.encoder.final_layernorm.", "model.norm."),
        ("transformer.output_layer.", "lm_head."),
    ),
    (
        (".self_attention.query_key_value", ".self_attn.qkv_proj"),
        (".self_attention.dense", ".self_attn.o_proj"),
        (".dense_h_to_4h", ".gate_up_proj"),
        (".dense_4h_to_h", ".down_proj"),
    ),
    ("transformer.rotary_pos_emb.",),
)
INTERNLM2 = Family(
    "internlm2",
    ("InternLM2ForCausalLM",),
    lambda config: describe_dense(config, _INTERNLM2),
    (("model.tok_embeddings.", "model.embed_tokens."), ("output.", "lm_head.")),
    (
        (".attention.wqkv", ".self_attn.qkv_proj"),
        (".attention.wo", ".self_attn.o_proj"),
        (".feed_forward.w1", ".mlp.gate_proj"),
        (".feed_forward.w3", ".mlp.up_proj"),
        (".feed_forward.w2", ".mlp.down_proj"),
        (".attention_norm", ".input_layernorm"),
        (".ffn_norm", ".post_attention_layernorm"),
    ),
)
EXAONE = Family(
    "exaone",
    ("ExaoneForCausalLM",),
    _exaone,
    (
        ("transformer.h.", "model.layers."),
        ("transformer.wte.", "model.embed_tokens."),
        ("transformer.ln_f.", "model.norm."),
    ),
    (
        (".attn.attention.out_proj", ".self_attn.o_proj"),
        (".attn.attention.", ".self_attn."),
        (".mlp.c_fc_0", ".mlp.gate_proj"),
        (".mlp.c_fc_1", ".mlp.up_proj"),
        (".mlp.c_proj", ".mlp.down_proj"),
        (".ln_1", ".input_layernorm"),
        (".ln_2", ".post_attention_layernorm"),
    ),
)
TELECHAT2 = Family(
    "telechat2",
    ("TeleChat2ForCausalLM",),
    _telechat2,
    (
        ("transformer.h.", "model.layers."),
        ("transformer.word_embeddings.", "model.embed_tokens."),
        ("transformer.ln_f.", "model.norm."),
    ),
    (
        (".self_attention.query", ".self_attn.q_proj"),
        (".self_attention.dense", ".self_attn.o_proj"),
    ),
)
FAMILIES = (CHATGLM, INTERNLM2, EXAONE, TELECHAT2)
