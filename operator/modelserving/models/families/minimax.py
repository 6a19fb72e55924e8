"""MiniMax M2: experts routed by a float32 router, queries and keys normed over all heads (models/minimax_m2.py)."""

from modelserving.models.facts import Module, Split
from modelserving.models.families.decoder import Decoder, Shape, put_together, read_shape
from modelserving.models.families.dense import DenseDecoder, attention_groups, attention_modules
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm, rope_cache, sharded_vector
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_DECODER = DenseDecoder(
    defaults={"max_position_embeddings": 196608, "num_key_value_heads": 8}, qkv_bias="attention_bias"
)
_ROUTED = Mixture(
    num_experts="num_local_experts",
    intermediate_size="intermediate_size",
    block="block_sparse_moe",
    parts=("w1", "w3", "w2"),
    router_dtype="float32",
)
_BIASED = Mixture(
    num_experts="num_local_experts",
    intermediate_size="intermediate_size",
    block="block_sparse_moe",
    parts=("w1", "w3", "w2"),
    router_dtype="float32",
    correction_bias="e_score_correction_bias",
)


def _describe(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    mixture = _BIASED if config.flag("use_routing_bias") else _ROUTED
    found = read_experts(config, mixture, tuple(range(shape.num_layers)))
    rope = read_rope(config, _DECODER.defaults["max_position_embeddings"])
    rotary = config.whole("rotary_dim", shape.head_size, low=2, high=shape.head_size)
    root = "model.layers.*"
    modules = (
        *attention_modules(config, _DECODER, shape, root),
        *_norms(shape, f"{root}.self_attn"),
        *mixture_modules(mixture, found, shape.hidden_size, root),
        norm(f"{root}.input_layernorm", shape.hidden_size),
        norm(f"{root}.post_attention_layernorm", shape.hidden_size),
    )
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: modules,
            attention=attention_groups(config, _DECODER, shape),
            tied=config.flag("tie_word_embeddings"),
            buffers=(rope_cache(rope.cache_rows, rotary),),
            experts=found,
        )
    )


def _norms(shape: Shape, name: str) -> tuple[Module, ...]:
    """Norms over all heads are cut like the heads."""
    keys = shape.num_kv_heads * shape.head_size
    return (
        sharded_vector(f"{name}.q_norm", shape.num_heads * shape.head_size),
        Module(f"{name}.k_norm", Split.QKV, 1, (keys,), heads=(shape.num_kv_heads,)),
    )


FAMILY = Family(name="minimax_m2", architectures=("MiniMaxM2ForCausalLM",), describe=_describe, unused=("mtp.",))
