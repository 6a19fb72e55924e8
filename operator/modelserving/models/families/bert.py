"""Encoders that make embeddings or scores: BERT, RoBERTa and XLM-RoBERTa, with the heads that vLLM knows.

Source: vLLM 0.32 model_executor/models/bert.py, roberta.py. They keep no KV cache. Heads that score are float32
(config/model.py, `_get_head_dtype`), those that predict tokens are as the model.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage
from modelserving.models.families.decoder import Shape, read_shape
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import attention_scales, column, norm, qkv, row
from modelserving.models.families.pooling import num_labels, scoring
from modelserving.models.families.towers import plain
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
# What follows the encoder: (config, its shape) -> modules.
_Head = Callable[[Fields, Shape], tuple[Module, ...]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What tells one encoder from another.

    Attributes:
        head: what follows the encoder.
        root: vLLM's name of the encoder in the model.
    """

    is_roberta: bool
    head: _Head
    root: str = ""


def _describe(config: Fields, kind: _Kind) -> Description:
    shape = read_shape(config, _DEFAULTS, head_dim_key=False)
    width, inner, size, root = shape.hidden_size, shape.intermediate_size, shape.head_size, kind.root
    positions = config.whole("max_position_embeddings", _POSITIONS, low=1 + _ROBERTA_OFFSET)
    name, layers, stem = f"{root}encoder.layer.*", tuple(range(shape.num_layers)), f"{root}embeddings"
    front = (
        Module(f"{stem}.word_embeddings", Split.VOCAB, width, (shape.vocab_size,)),
        Module(f"{stem}.position_embeddings", Split.VOCAB, width, (positions,)),
        Module(f"{stem}.token_type_embeddings", Split.VOCAB, width, (config.whole("type_vocab_size", _TYPES),)),
        norm(f"{stem}.LayerNorm", width, True),
    )
    layer = (
        qkv(
            f"{name}.attention.self.qkv_proj",
            width,
            (shape.num_heads, shape.num_heads),
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
    counted = Module(f"{stem}.position_ids", Split.REPLICATED, 1, (positions,), fixed_dtype="int64")
    head = kind.head(config, shape)
    described = encoder(
        shape,
        (
            Section(Stage.FIRST, front),
            Section(Stage.FIRST, (counted,), buffers=True),
            Section(Stage.LAYERS, layer, layers=layers),
            attention_scales(f"{name}.attention.self.attn", layers),
            *((Section(Stage.LAST, head),) if head else ()),
        ),
        positions,
    )
    return replace(described, beyond_tokenizer=_ROBERTA_OFFSET if kind.is_roberta else 0)


def encoder(shape: Shape, sections: tuple[Section, ...], positions: int) -> Description:
    """An encoder that keeps nothing and makes no text."""
    layers = tuple(range(shape.num_layers))
    kept = AttentionGroup(
        AttentionKind.ENCODER_ONLY, layers, shape.num_heads, shape.num_heads, shape.head_size, shape.head_size
    )
    return Description(
        sections=sections,
        attention=(kept,),
        max_model_len=positions,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        vocab_size=shape.vocab_size,
        num_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_kv_heads=shape.num_heads,
        head_size=shape.head_size,
        tie_word_embeddings=False,
        supports_pipeline=False,
        pooling=True,
    )


def _nothing(config: Fields, shape: Shape) -> tuple[Module, ...]:
    return ()


def _bert_classes(config: Fields, shape: Shape) -> tuple[Module, ...]:
    width = shape.hidden_size
    return (scoring("bert.pooler.dense", width, width), scoring("classifier", width, num_labels(config)))


def _classes(config: Fields, shape: Shape) -> tuple[Module, ...]:
    return (scoring("classifier", shape.hidden_size, num_labels(config)),)


def _roberta_classes(config: Fields, shape: Shape) -> tuple[Module, ...]:
    width = shape.hidden_size
    return (scoring("classifier.dense", width, width), scoring("classifier.out_proj", width, num_labels(config)))


def _tokens(config: Fields, shape: Shape) -> tuple[Module, ...]:
    width = shape.hidden_size
    return (
        plain("mlm_head.dense", width, width),
        norm("mlm_head.layer_norm", width, True),
        plain("mlm_head.decoder", width, shape.vocab_size),
    )


def _colours(config: Fields, shape: Shape) -> tuple[Module, ...]:
    """BGE-M3's weights of single tokens and vectors of all tokens (roberta.py, BgeM3EmbeddingModel)."""
    width = shape.hidden_size
    return (scoring("sparse_linear", width, 1), scoring("colbert_linear", width, width))


_UNUSED = ("pooler.", "lm_head.", "cls.")
# hf_to_vllm_mapper of BertForMaskedLM.
_MASKED = (
    ("cls.predictions.transform.dense.", "mlm_head.dense."),
    ("cls.predictions.transform.LayerNorm.", "mlm_head.layer_norm."),
    ("cls.predictions.decoder.", "mlm_head.decoder."),
)


def _family(
    name: str, architectures: tuple[str, ...], kind: _Kind, prefixes: tuple[tuple[str, str], ...] = ()
) -> Family:
    return Family(name, architectures, lambda config: _describe(config, kind), prefixes, unused=_UNUSED)


BERT: Family = _family("bert", ("BertModel",), _Kind(False, _nothing), (("bert.", ""),))
ROBERTA: Family = _family(
    "roberta", ("RobertaModel", "XLMRobertaModel", "RobertaForMaskedLM"), _Kind(True, _nothing), (("roberta.", ""),)
)
_SCORERS: tuple[Family, ...] = (
    _family("bert_scores", ("BertForSequenceClassification",), _Kind(False, _bert_classes, "bert.")),
    _family("bert_labels", ("BertForTokenClassification",), _Kind(False, _classes, "bert.")),
    _family(
        "bert_tokens",
        ("BertForMaskedLM", "BertSpladeSparseEmbeddingModel"),
        _Kind(False, _tokens, "bert."),
        _MASKED,
    ),
    _family(
        "roberta_scores",
        ("RobertaForSequenceClassification", "XLMRobertaForSequenceClassification"),
        _Kind(True, _roberta_classes, "roberta."),
    ),
    _family(
        "roberta_labels",
        ("RobertaForTokenClassification", "XLMRobertaForTokenClassification"),
        _Kind(True, _classes, "roberta."),
    ),
    _family("bge_m3", ("BgeM3EmbeddingModel",), _Kind(True, _colours), (("roberta.", ""),)),
)
FAMILIES: tuple[Family, ...] = (BERT, ROBERTA, *_SCORERS)
