"""OPT: learned positions, biases everywhere, norms with biases (vLLM 0.32: model_executor/models/opt.py)."""

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage
from modelserving.models.families.decoder import (
    LARGEST_VOCABULARY,
    LARGEST_WIDTH,
    MOST_HEADS,
    MOST_LAYERS,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import attention_scales, column, norm, qkv, replicated, row
from modelserving.models.fields import Fields

# Positions are counted from 2 (OPTLearnedPositionalEmbedding).
_OFFSET = 2
_ROOT = "model.decoder"
# Defaults: transformers OPTConfig.
_VOCABULARY, _WIDTH, _LAYERS, _INNER, _HEADS, _POSITIONS = 50272, 768, 12, 3072, 12, 2048


def _describe(config: Fields) -> Description:
    width = config.whole("hidden_size", _WIDTH, high=LARGEST_WIDTH)
    heads = config.whole("num_attention_heads", _HEADS, high=MOST_HEADS)
    if width % heads:
        raise config.fail("num_attention_heads", f"a divisor of hidden_size ({width})")
    inner = config.whole("ffn_dim", _INNER, high=LARGEST_WIDTH)
    count = config.whole("num_hidden_layers", _LAYERS, high=MOST_LAYERS)
    vocabulary = config.whole("vocab_size", _VOCABULARY, high=LARGEST_VOCABULARY)
    narrow = config.whole("word_embed_proj_dim", width, high=LARGEST_WIDTH)
    positions = config.whole("max_position_embeddings", _POSITIONS)
    tied = config.flag("tie_word_embeddings", True)
    biased = config.flag("enable_bias", True)
    layers, size, name = tuple(range(count)), width // heads, f"{_ROOT}.layers.*"
    embedding = Module(f"{_ROOT}.embed_tokens", Split.VOCAB, narrow, (vocabulary,))
    head = Module("lm_head", Split.VOCAB, narrow, (vocabulary,), tied_to=embedding.name if tied else None)
    table = Module(f"{_ROOT}.embed_positions", Split.REPLICATED, width, (positions + _OFFSET,))
    projections: tuple[Module, ...] = ()
    if narrow != width:
        projections = (
            replicated(f"{_ROOT}.project_out", width, narrow),
            replicated(f"{_ROOT}.project_in", narrow, width),
        )
    last = norm(f"{_ROOT}.final_layer_norm", width, True)
    has_norm = config.flag("do_layer_norm_before", True) and not config.flag("_remove_final_layer_norm")
    layer = (
        qkv(f"{name}.self_attn.qkv_proj", width, (heads, heads), (size, size), biased),
        row(f"{name}.self_attn.out_proj", width, width, biased),
        norm(f"{name}.self_attn_layer_norm", width, True),
        column(f"{name}.fc1", width, inner, biased),
        row(f"{name}.fc2", inner, width, biased),
        norm(f"{name}.final_layer_norm", width, True),
    )
    return Description(
        sections=(
            Section(Stage.FIRST, (embedding,)),
            Section(Stage.EVERY, (table, *projections)),
            Section(Stage.LAYERS, layer, layers=layers),
            Section(Stage.LAST, (*((last,) if has_norm else ()), head)),
            attention_scales(f"{name}.self_attn.attn", layers),
        ),
        attention=(AttentionGroup(AttentionKind.FULL, layers, heads, heads, size, size),),
        max_model_len=positions,
        hidden_size=width,
        intermediate_size=inner,
        vocab_size=vocabulary,
        num_layers=count,
        num_attention_heads=heads,
        num_kv_heads=heads,
        head_size=size,
        tie_word_embeddings=tied,
    )


FAMILY = Family(
    name="opt", architectures=("OPTForCausalLM",), describe=_describe, prefixes=(("decoder.", "model.decoder."),)
)
