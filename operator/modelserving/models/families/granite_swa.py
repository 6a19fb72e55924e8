"""Granite with windows and attention sinks, dense and with experts.

Source: vLLM 0.32 model_executor/models/granite.py (`granite_layer_attn_params`), granitemoe.py, granitemoeshared.py.
Defaults: transformers GraniteSWAConfig and GraniteMoeSWAConfig.
"""

from modelserving.models.facts import Module
from modelserving.models.families.decoder import LARGEST_WIDTH, Shape, read_shape
from modelserving.models.families.dense import DenseDecoder, FeedForward, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.granite_moe import MIXTURE, RENAMES, shared_mlp
from modelserving.models.families.layers import gated_mlp, sharded_vector
from modelserving.models.families.mixture import mixture_modules, read_experts
from modelserving.models.fields import Fields

_DENSE = DenseDecoder(
    defaults={
        "hidden_size": 2560,
        "intermediate_size": 8192,
        "num_hidden_layers": 24,
        "num_attention_heads": 20,
        "num_key_value_heads": 4,
        "vocab_size": 100352,
        "max_position_embeddings": 8192,
        "sliding_window": 128,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    mlp_bias="mlp_bias",
    tied=True,
)
_SPARSE = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
        "sliding_window": 128,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
)
# Every so many-th layer looks back on everything where `layer_types` is absent, the first one too.
_PATTERN = 4


def _kinds(config: Fields, shape: Shape) -> Fields:
    if config.texts("layer_types"):
        return config
    kinds = ["sliding_attention" if index % _PATTERN else "full_attention" for index in range(shape.num_layers)]
    return config.replaced({"layer_types": kinds})


def _with_sinks(config: Fields, shape: Shape, follow: FeedForward) -> FeedForward:
    if not config.flag("attention_sinks", True):
        return follow
    sinks = sharded_vector("model.layers.*.self_attn.sinks", shape.num_heads)
    return lambda index, root: (sinks, *follow(index, root))


def _dense(config: Fields) -> Description:
    shape = read_shape(config, _DENSE.defaults)
    mlp = gated_mlp("model.layers.*.mlp", shape.hidden_size, shape.intermediate_size, config.flag("mlp_bias"))
    follow = _with_sinks(config, shape, lambda index, root: mlp)
    return describe_dense(_kinds(config, shape), _DENSE, feed_forward=follow)


def _sparse(config: Fields) -> Description:
    shape = read_shape(config, _SPARSE.defaults)
    found = read_experts(config, MIXTURE, tuple(range(shape.num_layers)))
    shared = shared_mlp(shape, config.whole("shared_intermediate_size", 0, low=0, high=LARGEST_WIDTH))
    modules: tuple[Module, ...] = (*mixture_modules(MIXTURE, found, shape.hidden_size, "model.layers.*"), *shared)
    follow = _with_sinks(config, shape, lambda index, root: modules)
    return describe_dense(_kinds(config, shape), _SPARSE, feed_forward=follow, experts=found)


FAMILIES = (
    Family("granite_swa", ("GraniteSWAForCausalLM",), _dense),
    Family("granitemoe_swa", ("GraniteMoeSWAForCausalLM",), _sparse, renames=RENAMES),
)
