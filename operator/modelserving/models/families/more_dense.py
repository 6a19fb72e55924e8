"""Dense relatives of Llama and Qwen that differ by names and switches only.

Source: vLLM 0.32 model_executor/models/phi3.py, granite.py, mimo.py, registry.py; for StarCoder2 the transformers backend
(models/transformers/), which keeps query, key and value apart.
"""

from dataclasses import replace

from modelserving.models.facts import Module, Split
from modelserving.models.families import llama, qwen2
from modelserving.models.families.decoder import Decoder, Shape, put_together, read_shape
from modelserving.models.families.dense import DenseDecoder, attention_groups, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, rope_cache, row
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# Defaults: transformers Phi3Config, GraniteConfig, Starcoder2Config.
_PHI3 = DenseDecoder(
    defaults={"max_position_embeddings": 4096, "vocab_size": 32064},
    head_dim_key=False,
    qkv_parts=("qkv_proj",),
)
_GRANITE = replace(llama.DECODER, tied=False)
_STARCODER2 = {
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_hidden_layers": 30,
    "num_attention_heads": 24,
    "num_key_value_heads": 2,
    "vocab_size": 49152,
    "max_position_embeddings": 4096,
}


def _phi3(config: Fields) -> Description:
    shape = read_shape(config, _PHI3.defaults, head_dim_key=False)

    def mlp(index: int, root: str) -> tuple[Module, ...]:
        joined, down = gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size)
        return (replace(joined, sources=(joined.name,)), down)

    return describe_dense(config, _PHI3, feed_forward=mlp)


def _starcoder2(config: Fields) -> Description:
    shape = read_shape(config, _STARCODER2)
    rope = read_rope(config, _STARCODER2["max_position_embeddings"])
    bias = config.flag("use_bias", True)
    layer = (*_apart(shape, "model.layers.*.self_attn", bias), *_plain_mlp(shape, "model.layers.*.mlp", bias))
    norms = ("input_layernorm", "post_attention_layernorm")
    described = put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: (*layer, *(norm(f"model.layers.*.{name}", shape.hidden_size, True) for name in norms)),
            attention=attention_groups(config, DenseDecoder(), shape),
            tied=config.flag("tie_word_embeddings", True),
            buffers=(rope_cache(1, shape.head_size // 2 or 1, "float32"),),
            norm_bias=True,
        )
    )
    return replace(
        described,
        assumptions=("vLLM runs it through its transformers backend: layers are taken as transformers names them",),
    )


def _apart(shape: Shape, name: str, bias: bool) -> tuple[Module, ...]:
    size, width = shape.head_size, shape.hidden_size
    parts = (("q", shape.num_heads), ("k", shape.num_kv_heads), ("v", shape.num_kv_heads))
    projections = tuple(
        Module(f"{name}.{part}_proj", Split.QKV, width, (heads * size,), bias=bias, heads=(heads,), quantizable=True)
        for part, heads in parts
    )
    return (*projections, row(f"{name}.o_proj", shape.num_heads * size, width, bias))


def _plain_mlp(shape: Shape, name: str, bias: bool) -> tuple[Module, ...]:
    width, inner = shape.hidden_size, shape.intermediate_size
    return (column(f"{name}.c_fc", width, inner, bias), row(f"{name}.c_proj", inner, width, bias))


PHI3 = Family("phi3", ("Phi3ForCausalLM",), _phi3)
GRANITE = Family("granite", ("GraniteForCausalLM",), lambda config: describe_dense(config, _GRANITE))
STARCODER2 = Family("starcoder2", ("Starcoder2ForCausalLM",), _starcoder2)
MIMO = Family(
    "mimo",
    ("MiMoForCausalLM",),
    lambda config: describe_dense(config, replace(qwen2.DECODER, head_dim_key=True)),
    unused=("model.mtp_layers.",),
)
