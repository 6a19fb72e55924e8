"""gpt-oss: experts with biases in mxfp4, attention sinks, windows in every other layer.

Source: vLLM 0.32 model_executor/models/gpt_oss.py. Its rope cache is float32, and whatever `--quantization` asks, the experts
stay as they are stored.
"""

from dataclasses import replace

from modelserving.models.facts import Module, Section
from modelserving.models.families.decoder import Decoder, Shape, put_together, read_shape
from modelserving.models.families.dense import DenseDecoder, attention_groups, attention_modules
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm, rope_cache, sharded_vector
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# Defaults: transformers GptOssConfig.
_DECODER = DenseDecoder(
    defaults={
        "max_position_embeddings": 131072,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "sliding_window": 128,
        "vocab_size": 201088,
    },
    qkv_bias=True,
    output_bias=True,
    sliding_pattern=2,
    attention_name="attn",
)
_MIXTURE = Mixture(
    num_experts="num_local_experts",
    intermediate_size="intermediate_size",
    default_experts=128,
    default_top_k=4,
    default_intermediate=2880,
    gate="router",
)


def _describe(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    found = read_experts(config, _MIXTURE, tuple(range(shape.num_layers)))
    rope = read_rope(config, _DECODER.defaults["max_position_embeddings"])
    caches: tuple[Section, ...] = (rope_cache(rope.cache_rows, shape.head_size, "float32"),)
    mixture = mixture_modules(_MIXTURE, found, shape.hidden_size, "model.layers.*", bias=True)
    layer = (*_attention(config, shape), *mixture, *_norms(shape))
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: layer,
            attention=tuple(replace(group, sinks=True) for group in attention_groups(config, _DECODER, shape)),
            tied=config.flag("tie_word_embeddings"),
            buffers=caches,
            embedding="embedding",
            experts=found,
        )
    )


def _attention(config: Fields, shape: Shape) -> tuple[Module, ...]:
    modules = attention_modules(config, _DECODER, shape, "model.layers.*")
    return (sharded_vector("model.layers.*.attn.sinks", shape.num_heads), *modules)


def _norms(shape: Shape) -> tuple[Module, ...]:
    return tuple(
        norm(f"model.layers.*.{name}", shape.hidden_size) for name in ("input_layernorm", "post_attention_layernorm")
    )


FAMILY = Family(
    name="gpt_oss",
    architectures=("GptOssForCausalLM",),
    describe=_describe,
    prefixes=(("model.embed_tokens.", "model.embedding."),),
    renames=((".self_attn.", ".attn."),),
)
