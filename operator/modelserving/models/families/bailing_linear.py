"""Ling and Ring 2.5: linear attention, latent attention in every so many-th layer, experts as in Ling 2.

Source: vLLM 0.32 model_executor/models/bailing_moe_linear.py, layers/mamba/linear/bailing_linear_attn.py.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Split, State, StatePart
from modelserving.models.families.bailing import read_mixture
from modelserving.models.families.bailing_v3 import LATENT
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    MOST_HEADS,
    Decoder,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.deepseek import latent_attention, latent_group, read_mla
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, qkv, rope_cache, row
from modelserving.models.families.mixture import mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_ROOT = "model.layers.*"


def _describe(config: Fields) -> Description:
    shape = read_shape(config)
    mla, rope = read_mla(config.or_else(LATENT)), read_rope(config, None)
    period = config.whole("layer_group_size", 1, low=0, high=1024)
    linear = layers_where(shape.num_layers, lambda index: period > 0 and (index + 1) % period != 0)
    full = tuple(sorted(set(range(shape.num_layers)) - set(linear)))
    mixture, shared = read_mixture(config.or_else({"router_dtype": "fp32"}))
    dense = config.whole("first_k_dense_replace", 0, low=0)
    found = read_experts(config, mixture, layers_where(shape.num_layers, lambda index: index >= dense))
    heads, size, width = shape.num_heads, shape.head_size, shape.hidden_size

    mixer = _linear(config, heads, size, width)
    latent = latent_attention(mla, shape, f"{_ROOT}.self_attn", False)

    def layer(index: int) -> tuple[Module, ...]:
        first = mixer if index in linear else latent
        if index in found.layers:
            follow = mixture_modules(mixture, found, width, _ROOT, shared)
        else:
            follow = gated_mlp(f"{_ROOT}.mlp", width, shape.intermediate_size, config.flag("use_bias"))
        return (
            *first,
            *follow,
            *(norm(f"{_ROOT}.{name}", width) for name in ("input_layernorm", "post_attention_layernorm")),
        )

    state = State("state", (StatePart(heads, size * size),))
    groups = (
        AttentionGroup(AttentionKind.MAMBA, linear, heads, 0, 0, 0, states=(state,)),
        latent_group(mla, shape, full),
    )
    rotary = config.whole("rotary_dim", max(2, int(size * rope.partial_rotary_factor)), high=LARGEST_HEAD)
    caches = (
        *((rope_cache(rope.cache_rows, rotary),) if linear else ()),
        *((rope_cache(rope.cache_rows, mla.latent.qk_rope_head_dim),) if full else ()),
    )
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=tuple(group for group in groups if group.layers),
            tied=config.flag("tie_word_embeddings"),
            buffers=caches,
            experts=found,
            latent_attention=mla.latent,
        )
    )


def _linear(config: Fields, heads: int, size: int, width: int) -> tuple[Module, ...]:
    name, bias = f"{_ROOT}.self_attn", config.flag("use_bias")
    groups = config.whole("group_norm_size", 1, high=MOST_HEADS)
    norms = ("query_layernorm", "key_layernorm") if config.flag("use_qk_norm") else ()
    return (
        qkv(
            f"{name}.query_key_value",
            width,
            (heads, heads),
            (size, size),
            bias or config.flag("use_qkv_bias"),
            ("query_key_value",),
        ),
        *(norm(f"{name}.{part}", size) for part in norms),
        column(f"{name}.g_proj", width, heads * size),
        row(f"{name}.dense", heads * size, width, bias),
        # Groups of its norm are cut, none of them in two.
        Module(f"{name}.g_norm", Split.QKV, 1, (heads * size,), heads=(groups,)),
    )


FAMILY = Family(
    "bailing_linear",
    ("BailingMoeV2_5ForCausalLM",),
    _describe,
    (("model.word_embeddings.", "model.embed_tokens."),),
    ((".attention.", ".self_attn."),),
)
