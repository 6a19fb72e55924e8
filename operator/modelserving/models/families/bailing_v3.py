"""Ling 3: delta attention with a gate for each channel, gated latent attention in every so many-th layer, experts.

Source: vLLM 0.32 model_executor/models/bailing_moe_v3.py. A block-wise FP8 checkpoint whose shared experts are no multiple of a
block is filled up there, which is not described.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Split, State, StatePart
from modelserving.models.families.decoder import (
    LARGEST_WIDTH,
    MOST_EXPERTS,
    Decoder,
    Shape,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.deepseek import Mla, latent_attention, latent_group, read_mla
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, rope_cache, row, sharded_vector
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

LATENT = {"qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "kv_lora_rank": 512}
_MIXTURE = Mixture(shared="shared_experts", correction_bias="gate.expert_bias", router_dtype="float32")
_ROOT = "model.layers.*"
_NAME = f"{_ROOT}.self_attn"


def _describe(config: Fields) -> Description:
    shape = read_shape(config)
    mla, rope = read_mla(config.or_else(LATENT)), read_rope(config, None)
    period = config.whole("layer_group_size", high=1024)
    # Layers behind the last whole group look back on everything, too.
    whole = shape.num_layers // period * period
    full = layers_where(shape.num_layers, lambda index: (index + 1) % period == 0 or index >= whole)
    recurrent = tuple(sorted(set(range(shape.num_layers)) - set(full)))
    dense = config.whole("first_k_dense_replace", low=0)
    found = read_experts(config, _MIXTURE, layers_where(shape.num_layers, lambda index: index >= dense))
    shared = config.whole("num_shared_experts", low=0, high=MOST_EXPERTS)
    shared *= config.whole("moe_shared_expert_intermediate_size", high=LARGEST_WIDTH)
    kernel, width = config.whole("short_conv_kernel_size", low=2, high=64), shape.hidden_size
    latent, delta = _latent(config, mla, shape), _delta(shape, kernel)

    def layer(index: int) -> tuple[Module, ...]:
        if index in found.layers:
            follow = mixture_modules(_MIXTURE, found, width, _ROOT, shared)
        else:
            follow = gated_mlp(f"{_ROOT}.mlp", width, shape.intermediate_size)
        norms = (norm(f"{_ROOT}.{name}", width) for name in ("input_layernorm", "post_attention_layernorm"))
        return (*(latent if index in full else delta), *follow, *norms)

    groups = (_group(shape, kernel, recurrent), latent_group(mla, shape, full))
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=tuple(group for group in groups if group.layers),
            # Its head stands by itself, whatever config.json says.
            tied=False,
            buffers=(rope_cache(rope.cache_rows, mla.latent.qk_rope_head_dim),),
            experts=found,
            latent_attention=mla.latent,
        )
    )


def _latent(config: Fields, mla: Mla, shape: Shape) -> tuple[Module, ...]:
    """Latent attention; its output is gated by the head or by the element, or not."""
    *modules, out = latent_attention(mla, shape, _NAME, False)
    widths = {"head_wise": shape.num_heads, "element_wise": shape.num_heads * mla.latent.v_head_dim}
    wide = widths.get(config.text("gated_attention_proj_granularity_type"))
    gate = (column(f"{_NAME}.g_proj", shape.hidden_size, wide),) if wide is not None else ()
    return (*modules, *gate, row(f"{_NAME}.dense", out.in_features, shape.hidden_size))


def _delta(shape: Shape, kernel: int) -> tuple[Module, ...]:
    width, heads, inner = shape.hidden_size, shape.num_heads, shape.num_heads * shape.head_size
    parts = tuple(f"{_NAME}.{part}_proj" for part in "qkvb")
    joined = Module(
        f"{_NAME}.qkvb_proj", Split.COLUMN, width, (inner, inner, inner, heads), quantizable=True, sources=parts
    )
    convolutions = (
        Module(f"{_NAME}.{part}_conv1d", Split.COLUMN, kernel, (inner,), fixed_dtype="float32") for part in "qkv"
    )
    return (
        joined,
        column(f"{_NAME}.f_proj", width, inner),
        sharded_vector(f"{_NAME}.dt_bias", inner, "float32"),
        *convolutions,
        sharded_vector(f"{_NAME}.A_log", heads, "float32"),
        column(f"{_NAME}.g_proj", width, inner),
        norm(f"{_NAME}.o_norm", shape.head_size),
        row(f"{_NAME}.o_proj", inner, width),
    )


def _group(shape: Shape, kernel: int, layers: tuple[int, ...]) -> AttentionGroup:
    heads, size = shape.num_heads, shape.head_size
    conv = State("conv", (StatePart(heads, 3 * size * (kernel - 1)),))
    recurrent = State("recurrent", (StatePart(heads, size * size),), "float32")
    return AttentionGroup(AttentionKind.MAMBA, layers, heads, 0, 0, 0, states=(conv, recurrent))


FAMILY = Family(
    "bailing_v3",
    ("BailingMoeV3ForCausalLM",),
    _describe,
    (("model.word_embeddings.", "model.embed_tokens."),),
    ((".attention.", ".self_attn."),),
)
