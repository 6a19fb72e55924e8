"""Encoders that make embeddings: BERT, RoBERTa and XLM-RoBERTa (vLLM 0.32: model_executor/models/bert.py, roberta.py).

They keep no KV cache.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage
from modelserving.models.families.decoder import read_shape
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import attention_scales, column, norm, qkv, row
from modelserving.models.fields import Fields

# Defaults: transformers BertConfig.
_DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 30522,
}
_POSITIONS, _TYPES = 512, 2
# RoBERTa counts positions from padding_idx + 1.
_ROBERTA_OFFSET = 2


def _describe(config: Fields, is_roberta: bool) -> Description:
    shape = read_shape(config, _DEFAULTS, head_dim_key=False)
    width, inner, size = shape.hidden_size, shape.intermediate_size, shape.head_size
    positions = config.whole("max_position_embeddings", _POSITIONS, low=1 + _ROBERTA_OFFSET)
    name, layers = "encoder.layer.*", tuple(range(shape.num_layers))
    front = (
        Module("embeddings.word_embeddings", Split.VOCAB, width, (shape.vocab_size,)),
        Module("embeddings.position_embeddings", Split.VOCAB, width, (positions,)),
        Module("embeddings.token_type_embeddings", Split.VOCAB, width, (config.whole("type_vocab_size", _TYPES),)),
        norm("embeddings.LayerNorm", width, True),
    )
    layer = (
        qkv(
            f"{name}.attention.self.qkv_proj",
            width,
            (shape.num_heads, shape.num_kv_heads),
            (size, size),
            True,
            ("query", "key", "value"),
        ),
        row(f"{name}.attention.output.dense", width, width, True),
        norm(f"{name}.attention.output.LayerNorm", width, True),
        column(f"{name}.intermediate.dense", width, inner, True),
        row(f"{name}.output.dense", inner, width, True),
        norm(f"{name}.output.LayerNorm", width, True),
    )
    counted = Module("embeddings.position_ids", Split.REPLICATED, 1, (positions,), fixed_dtype="int64")
    return Description(
        sections=(
            Section(Stage.FIRST, front),
            Section(Stage.FIRST, (counted,), buffers=True),
            Section(Stage.LAYERS, layer, layers=layers),
            attention_scales(f"{name}.attention.self.attn", layers),
        ),
        attention=(
            AttentionGroup(AttentionKind.ENCODER_ONLY, layers, shape.num_heads, shape.num_kv_heads, size, size),
        ),
        max_model_len=positions - (_ROBERTA_OFFSET if is_roberta else 0),
        hidden_size=width,
        intermediate_size=inner,
        vocab_size=shape.vocab_size,
        num_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_kv_heads=shape.num_kv_heads,
        head_size=size,
        tie_word_embeddings=False,
        supports_pipeline=False,
    )


_UNUSED = ("pooler.", "lm_head.", "cls.")
BERT = Family("bert", ("BertModel",), lambda config: _describe(config, False), (("bert.", ""),), unused=_UNUSED)
ROBERTA = Family(
    "roberta",
    ("RobertaModel", "XLMRobertaModel"),
    lambda config: _describe(config, True),
    (("roberta.", ""),),
    unused=_UNUSED,
)
