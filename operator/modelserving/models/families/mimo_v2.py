"""MiMo V2: attention with fewer value than key elements, windows with heads of their own, experts in most layers.

Source: vLLM 0.32 model_executor/models/mimo_v2.py.
"""

from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    MOST_HEADS,
    Decoder,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp, norm, qkv, rope_cache, row, sharded_vector
from modelserving.models.families.mixture import Mixture, layers_from, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_MIXTURE = Mixture(
    num_experts="n_routed_experts", correction_bias="gate.e_score_correction_bias", router_dtype="float32"
)
_POSITIONS = 32768
_ROOT = "model.layers.*"


def _describe(config: Fields) -> Description:
    shape = read_shape(config)
    rope = read_rope(config, _POSITIONS)
    sliding = config.indices_marked("hybrid_layer_pattern", shape.num_layers)
    window = config.optional_whole("sliding_window_size") or config.whole("sliding_window")
    sparse = layers_from(config, shape.num_layers, "first_k_dense_replace")
    found = read_experts(config, _MIXTURE, sparse)
    wide = _attention_sizes(config, "")
    narrow = _attention_sizes(config, "swa_")
    sinks = config.flag("add_swa_attention_sink_bias")

    def layer(index: int) -> tuple[Module, ...]:
        heads, shared, size, size_v = narrow if index in sliding else wide
        name = f"{_ROOT}.self_attn"
        attention: tuple[Module, ...] = (
            qkv(f"{name}.qkv_proj", shape.hidden_size, (heads, shared), (size, size_v), config.flag("attention_bias")),
            row(f"{name}.o_proj", heads * size_v, shape.hidden_size),
        )
        if sinks and index in sliding:
            attention = (sharded_vector(f"{name}.attention_sink_bias", heads), *attention)
        if index in found.layers:
            follow = mixture_modules(_MIXTURE, found, shape.hidden_size, _ROOT)
        else:
            follow = gated_mlp(f"{_ROOT}.mlp", shape.hidden_size, shape.intermediate_size)
        norms = (norm(f"{_ROOT}.{part}", shape.hidden_size) for part in ("input_layernorm", "post_attention_layernorm"))
        return (*attention, *follow, *norms)

    full = layers_where(shape.num_layers, lambda index: index not in sliding)
    groups = (
        AttentionGroup(AttentionKind.FULL, full, *wide),
        AttentionGroup(AttentionKind.SLIDING_WINDOW, sliding, *narrow, sliding_window=window, sinks=sinks),
    )
    own = config.raw("swa_rope_theta") not in (None, config.raw("rope_theta"))
    sizes = (wide[2], narrow[2]) if own or wide[2] != narrow[2] else (wide[2],)
    described = put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=tuple(group for group in groups if group.layers),
            tied=config.flag("tie_word_embeddings"),
            buffers=tuple(rope_cache(rope.cache_rows, int(size * rope.partial_rotary_factor)) for size in sizes),
            experts=found,
        )
    )
    return replace(described, num_kv_heads=min(wide[1], narrow[1]))


def _attention_sizes(config: Fields, prefix: str) -> tuple[int, int, int, int]:
    """(query heads, key heads, elements of a key head, of a value head)."""
    heads = config.whole(f"{prefix}num_attention_heads", config.whole("num_attention_heads"), high=MOST_HEADS)
    shared = config.whole(f"{prefix}num_key_value_heads", config.whole("num_key_value_heads"), high=heads)
    if heads % shared:
        raise config.fail(f"{prefix}num_key_value_heads", f"a divisor of {heads}")
    size = config.whole(f"{prefix}head_dim", config.whole("head_dim", high=LARGEST_HEAD), high=LARGEST_HEAD)
    return heads, shared, size, config.whole(f"{prefix}v_head_dim", size, high=LARGEST_HEAD)


FAMILY = Family("mimo_v2", ("MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM"), _describe, unused=("model.mtp.",))
