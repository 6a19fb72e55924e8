"""Encoders with rotary positions: GTE, Nomic's BERT and ModernBERT.

Source: vLLM 0.32 model_executor/models/bert_with_rope.py, modernbert.py, config.py. They keep no KV cache.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import Module, Section, Split, Stage
from modelserving.models.families.bert import encoder
from modelserving.models.families.decoder import LARGEST_WIDTH, MOST_HEADS, MOST_LAYERS, Shape, read_shape
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import (
    attention_scales,
    column,
    gated_mlp,
    merged,
    norm,
    qkv,
    rope_cache,
    row,
)
from modelserving.models.families.pooling import num_labels, scoring
from modelserving.models.families.towers import plain
from modelserving.models.fields import Fields

# Defaults: transformers GteConfig, as BertConfig but for the positions.
_GTE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 30528,
    "max_position_embeddings": 2048,
}
_MODERN = {
    "hidden_size": 768,
    "intermediate_size": 1152,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "vocab_size": 50368,
    "max_position_embeddings": 8192,
}
# Nomic's rope is trained on so many positions, whatever the config counts (models/config.py, NomicBertModelConfig).
_NOMIC_POSITIONS = 2048


@dataclass(frozen=True, slots=True)
class _Roped:
    """Sizes and switches of a BERT with rotary positions."""

    shape: Shape
    positions: int
    types: int
    bias: bool
    gated: bool
    gate_bias: bool


def _roped(sizes: _Roped, head: tuple[Module, ...] = (), root: str = "") -> Description:
    shape = sizes.shape
    width, inner, size = shape.hidden_size, shape.intermediate_size, shape.head_size
    layers, name = tuple(range(shape.num_layers)), f"{root}encoder.layers.*"
    stem = f"{root}embeddings"
    types = Module(f"{stem}.token_type_embeddings", Split.VOCAB, width, (sizes.types,))
    front = (
        Module(f"{stem}.word_embeddings", Split.VOCAB, width, (shape.vocab_size,)),
        *((types,) if sizes.types else ()),
        norm(f"{stem}.LayerNorm", width, True),
    )
    if sizes.gated:
        both, down = gated_mlp(f"{name}.mlp", width, inner, sizes.bias)
        mlp = (replace(both, bias=sizes.gate_bias), down)
    else:
        mlp = (
            column(f"{name}.mlp.up_proj", width, inner, sizes.bias),
            row(f"{name}.mlp.down_proj", inner, width, sizes.bias),
        )
    heads = (shape.num_heads, shape.num_heads)
    layer = (
        qkv(f"{name}.attn.qkv_proj", width, heads, (size, size), sizes.bias, ("qkv_proj",)),
        row(f"{name}.attn.out_proj", width, width, sizes.bias),
        *mlp,
        norm(f"{name}.attn_ln", width, True),
        norm(f"{name}.mlp_ln", width, True),
    )
    sections = (
        Section(Stage.FIRST, front),
        Section(Stage.LAYERS, layer, layers=layers),
        rope_cache(sizes.positions, size),
        attention_scales(f"{name}.attn.attn", layers),
        *((Section(Stage.LAST, head),) if head else ()),
    )
    return encoder(shape, sections, sizes.positions)


def _read_gte(config: Fields) -> _Roped:
    shape = read_shape(config, _GTE, head_dim_key=False)
    positions = config.whole("max_position_embeddings", _GTE["max_position_embeddings"])
    return _Roped(shape, positions, config.whole("type_vocab_size", 2, low=0), bias=True, gated=True, gate_bias=False)


def _gte(config: Fields) -> Description:
    return _roped(_read_gte(config))


def _gte_scores(config: Fields) -> Description:
    sizes = _read_gte(config)
    width = sizes.shape.hidden_size
    head = (
        scoring("new.pooler.dense", width, width),
        replace(scoring("classifier", width, num_labels(config)), quantizable=True),
    )
    return _roped(sizes, head, "new.")


def _nomic(config: Fields) -> Description:
    def size(keys: tuple[str, str], default: int, high: int) -> int:
        return config.whole(next((key for key in keys if config.raw(key) is not None), keys[0]), default, high=high)

    width, heads = (
        size(("n_embd", "hidden_size"), 768, LARGEST_WIDTH),
        size(("n_head", "num_attention_heads"), 12, MOST_HEADS),
    )
    if width % heads:
        raise config.fail("n_head", f"a divisor of n_embd ({width})")
    inner = size(("n_inner", "intermediate_size"), 4 * width, LARGEST_WIDTH)
    layers = size(("n_layer", "num_hidden_layers"), 12, MOST_LAYERS)
    shape = Shape(width, inner, config.whole("vocab_size", 30528), layers, heads, heads, width // heads)
    positions = config.whole("max_trained_positions", _NOMIC_POSITIONS)
    biased, gated = config.flag("qkv_proj_bias"), config.text("activation_function", "swiglu") == "swiglu"
    return _roped(_Roped(shape, positions, config.whole("type_vocab_size", 2, low=0), biased, gated, gate_bias=biased))


def _modern(config: Fields, root: str = "") -> Description:
    shape = read_shape(config, _MODERN, head_dim_key=False)
    width, inner, size = shape.hidden_size, shape.intermediate_size, shape.head_size
    positions = config.whole("max_position_embeddings", _MODERN["max_position_embeddings"])
    attends, feeds, normed = config.flag("attention_bias"), config.flag("mlp_bias"), config.flag("norm_bias")
    name = f"{root}encoder_layer.layers.*"
    heads = (shape.num_heads, shape.num_heads)

    def layer(first: bool) -> tuple[Module, ...]:
        return (
            # The embeddings are normed already before the first layer.
            *(() if first else (norm(f"{name}.attn_norm", width, normed),)),
            qkv(f"{name}.attn.Wqkv", width, heads, (size, size), attends, ("Wqkv",)),
            row(f"{name}.attn.Wo", width, width, attends),
            norm(f"{name}.mlp_norm", width, normed),
            merged(f"{name}.mlp.Wi", width, (inner, inner), ("Wi",), feeds),
            row(f"{name}.mlp.Wo", inner, width, feeds),
        )

    others = tuple(range(1, shape.num_layers))
    front = (
        Module(f"{root}embeddings.tok_embeddings", Split.VOCAB, width, (shape.vocab_size,)),
        norm(f"{root}embeddings.norm", width, normed),
    )
    sections = (
        Section(Stage.FIRST, front),
        Section(Stage.LAYERS, layer(True), layers=(0,)),
        *((Section(Stage.LAYERS, layer(False), layers=others),) if others else ()),
        Section(Stage.LAST, (norm(f"{root}final_norm", width, normed),)),
        # One for layers that see everything, one for those with a window: each has a base of its own.
        rope_cache(positions, size),
        rope_cache(positions, size),
        attention_scales(f"{name}.attn.attn", tuple(range(shape.num_layers))),
    )
    return encoder(shape, sections, positions)


def _modern_scores(config: Fields) -> Description:
    described = _modern(config, "model.")
    width, normed = described.hidden_size, config.flag("norm_bias")
    head = (
        scoring("classifier", width, num_labels(config)),
        scoring("pooling.dense", width, width, config.flag("classifier_bias")),
        replace(norm("pooling.norm", width, normed), fixed_dtype="float32"),
    )
    return replace(described, sections=(*described.sections, Section(Stage.LAST, head)))


def _modern_labels(config: Fields) -> Description:
    described = _modern(config, "model.")
    width = described.hidden_size
    head = (
        plain("head.dense", width, width, config.flag("classifier_bias")),
        norm("head.norm", width, config.flag("norm_bias")),
        scoring("classifier", width, num_labels(config)),
    )
    return replace(described, sections=(*described.sections, Section(Stage.LAST, head)))


# hf_to_vllm_mapper of bert_with_rope.py and modernbert.py.
_GTE_RENAMES = (
    ("encoder.layer.", "encoder.layers."),
    ("attention.qkv_proj", "attn.qkv_proj"),
    ("attention.o_proj", "attn.out_proj"),
)
_NOMIC_RENAMES = (
    ("emb_ln", "embeddings.LayerNorm"),
    ("attn.Wqkv", "attn.qkv_proj"),
    ("norm1", "attn_ln"),
    ("mlp.fc11", "mlp.up_proj"),
    ("mlp.fc12", "mlp.gate_proj"),
    ("mlp.fc2", "mlp.down_proj"),
    ("norm2", "mlp_ln"),
)
FAMILIES: tuple[Family, ...] = (
    Family("gte", ("GteModel", "GteNewModel"), _gte, (("new.", ""),), _GTE_RENAMES, ("pooler.",)),
    Family("gte_scores", ("GteNewForSequenceClassification",), _gte_scores, (), _GTE_RENAMES),
    Family("nomic_bert", ("NomicBertModel",), _nomic, (), _NOMIC_RENAMES, ("pooler.",)),
    Family("modernbert", ("ModernBertModel",), _modern, (("layers.", "encoder_layer.layers."),)),
    Family(
        "modernbert_scores",
        ("ModernBertForSequenceClassification",),
        _modern_scores,
        (("model.layers.", "model.encoder_layer.layers."), ("head.", "pooling.")),
    ),
    Family(
        "modernbert_labels",
        ("ModernBertForTokenClassification",),
        _modern_labels,
        (("model.layers.", "model.encoder_layer.layers."),),
    ),
)
