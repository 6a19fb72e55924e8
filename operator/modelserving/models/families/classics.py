"""Decoders of the first years: GPT-2, GPT-J, BLOOM, Falcon, StarCoder.

Source: vLLM 0.32 model_executor/models/gpt2.py, gpt_j.py, bloom.py, falcon.py; for StarCoder transformers' class. Their
modules are named as Llama's here. Defaults: the config class of each in transformers.
"""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, Stage
from modelserving.models.families.decoder import LARGEST_WIDTH, MOST_HEADS, read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm, replicated
from modelserving.models.fields import Fields

_BIASED = DenseDecoder(
    qkv_bias=True,
    output_bias=True,
    mlp_bias=True,
    norm_bias=True,
    norms=("input_layernorm", "post_attention_layernorm"),
    mlp="plain",
    qkv_parts=("qkv_proj",),
    head_dim_key=False,
    rope="none",
    tied=True,
)
_GPT2 = replace(
    _BIASED,
    defaults={
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "vocab_size": 50257,
        "max_position_embeddings": 1024,
    },
)
_GPTJ = replace(
    _BIASED,
    defaults={
        "hidden_size": 4096,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "vocab_size": 50400,
        "max_position_embeddings": 2048,
    },
    qkv_bias=False,
    output_bias=False,
    norms=("input_layernorm",),
    qkv_parts=("q_proj", "k_proj", "v_proj"),
    head_bias=True,
    rope="cache",
    tied=False,
)
_BLOOM = replace(
    _BIASED,
    defaults={"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 250880},
)
_FALCON = replace(
    _BIASED,
    defaults={
        "hidden_size": 4544,
        "num_hidden_layers": 32,
        "num_attention_heads": 71,
        "vocab_size": 65024,
        "max_position_embeddings": 2048,
    },
    qkv_bias="bias",
    output_bias="bias",
    mlp_bias="bias",
)
_GPT_NAMES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
    "intermediate_size": "n_inner",
}
_MLP_FACTOR = 4
_GPTJ_ROTARY = 64


def _sized(config: Fields, decoder: DenseDecoder, names: dict[str, str]) -> Fields:
    """Config under today's names, with an MLP four times as wide as the model where nothing else is stated."""
    named = config.renamed(names)
    width = named.whole("hidden_size", decoder.defaults["hidden_size"], high=LARGEST_WIDTH)
    return named.replaced({"intermediate_size": named.raw("intermediate_size") or _MLP_FACTOR * width})


def _positions(named: Fields, decoder: DenseDecoder) -> Section:
    """Learned positions, whole on every rank."""
    shape = read_shape(named, decoder.defaults, head_dim_key=False)
    rows = named.whole("max_position_embeddings", decoder.defaults["max_position_embeddings"])
    return Section(Stage.FIRST, (Module("model.wpe", Split.REPLICATED, shape.hidden_size, (rows,)),))


def _gpt2(config: Fields) -> Description:
    named = _sized(config, _GPT2, _GPT_NAMES)
    return describe_dense(named, _GPT2, buffers=(_positions(named, _GPT2),))


def _big_code(config: Fields) -> Description:
    """One key and value head unless told otherwise; transformers keeps the causal mask of all positions."""
    named = _sized(config, _GPT2, _GPT_NAMES)
    rows = named.whole("max_position_embeddings", _GPT2.defaults["max_position_embeddings"], high=2**20)
    heads = 1 if config.flag("multi_query", True) else named.raw("num_attention_heads")
    mask = Module("model.bias", Split.REPLICATED, rows, (rows,), fixed_dtype="uint8")
    more = (_positions(named, _GPT2), Section(Stage.EVERY, (mask,), buffers=True))
    held = named.replaced({"num_key_value_heads": heads})
    shape = read_shape(held, _GPT2.defaults, head_dim_key=False)
    width, inner = shape.hidden_size, shape.intermediate_size
    # transformers has no plan of how to cut this class: what vLLM does not fuse itself stays whole.
    mlp = (
        replicated("model.layers.*.mlp.up_proj", width, inner, True),
        replicated("model.layers.*.mlp.down_proj", inner, width, True),
    )
    return describe_dense(held, _GPT2, feed_forward=lambda index, root: mlp, buffers=more)


def _gptj(config: Fields) -> Description:
    named = _sized(config, _GPTJ, _GPT_NAMES)
    shape = read_shape(named, _GPTJ.defaults, head_dim_key=False)
    rotary = config.whole("rotary_dim", _GPTJ_ROTARY, low=2, high=shape.head_size)
    return describe_dense(named, replace(_GPTJ, default_partial=rotary / shape.head_size))


def _bloom(config: Fields) -> Description:
    """Positions are biases of the attention, computed; embeddings are normed."""
    named = _sized(
        config, _BLOOM, {"hidden_size": "n_embed", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
    )
    width = read_shape(named, _BLOOM.defaults, head_dim_key=False).hidden_size
    first = Section(Stage.FIRST, (norm("model.word_embeddings_layernorm", width, True),))
    return describe_dense(named, _BLOOM, buffers=(first,))


def _falcon(config: Fields) -> Description:
    named = _sized(
        config,
        _FALCON,
        {"intermediate_size": "ffn_hidden_size", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer"},
    )
    newer = config.flag("new_decoder_architecture")
    heads = named.whole("num_attention_heads", _FALCON.defaults["num_attention_heads"], high=MOST_HEADS)
    if newer:
        shared = config.whole("num_kv_heads", config.whole("n_head_kv", heads, high=heads), high=heads)
    else:
        shared = 1 if config.flag("multi_query", True) else heads
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")
    if newer:
        twice = config.whole("num_ln_in_parallel_attn", 2, high=2) == 2
        norms = ("ln_attn", "ln_mlp") if twice else ("input_layernorm",)
    elif config.flag("parallel_attn", True):
        norms = ("input_layernorm",)
    decoder = replace(_FALCON, norms=norms, rope="none" if config.flag("alibi") else "cache")
    return describe_dense(named.replaced({"num_key_value_heads": shared}), decoder)


_GPT_RENAMES = (
    ("transformer.h.", "model.layers."),
    ("transformer.wte", "model.embed_tokens"),
    ("transformer.", "model."),
    ("model.ln_f", "model.norm"),
    (".ln_1", ".input_layernorm"),
    (".ln_2", ".post_attention_layernorm"),
    (".attn.c_attn", ".self_attn.qkv_proj"),
    (".attn.c_proj", ".self_attn.o_proj"),
    (".attn.out_proj", ".self_attn.o_proj"),
    (".attn.", ".self_attn."),
    (".mlp.c_fc", ".mlp.up_proj"),
    (".mlp.c_proj", ".mlp.down_proj"),
    (".mlp.fc_in", ".mlp.up_proj"),
    (".mlp.fc_out", ".mlp.down_proj"),
)
_BLOOM_PREFIXES = (
    ("transformer.h.", "model.layers."),
    ("h.", "model.layers."),
    ("transformer.word_embeddings.", "model.embed_tokens."),
    ("word_embeddings.", "model.embed_tokens."),
    ("transformer.ln_f.", "model.norm."),
    ("ln_f.", "model.norm."),
    ("transformer.", "model."),
    ("word_embeddings_layernorm", "model.word_embeddings_layernorm"),
)
_LAYER_RENAMES = (
    (".self_attention.query_key_value", ".self_attn.qkv_proj"),
    (".self_attention.dense", ".self_attn.o_proj"),
    (".dense_h_to_4h", ".up_proj"),
    (".dense_4h_to_h", ".down_proj"),
)
_FALCON_PREFIXES = (
    ("transformer.h.", "model.layers."),
    ("transformer.word_embeddings", "model.embed_tokens"),
    ("transformer.ln_f", "model.norm"),
)

GPT2 = Family("gpt2", ("GPT2LMHeadModel",), _gpt2, renames=_GPT_RENAMES)
FAMILIES = (
    GPT2,
    Family("gpt_bigcode", ("GPTBigCodeForCausalLM",), _big_code, renames=_GPT_RENAMES),
    Family("gpt_j", ("GPTJForCausalLM",), _gptj, renames=_GPT_RENAMES),
    Family("bloom", ("BloomForCausalLM",), _bloom, _BLOOM_PREFIXES, _LAYER_RENAMES),
    Family("falcon", ("FalconForCausalLM",), _falcon, _FALCON_PREFIXES, _LAYER_RENAMES),
)
