"""Step 3.5: windows with heads of their own, gates for each head, experts from a layer on.

Source: vLLM 0.32 model_executor/models/step3p5.py, transformers_utils/configs/step3p5.py.
"""

from dataclasses import dataclass

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_WIDTH,
    MOST_HEADS,
    Decoder,
    Shape,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, qkv, rope_cache, row
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_DEFAULTS = {
    "hidden_size": 5120,
    "intermediate_size": 13312,
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "vocab_size": 65536,
}
_MIXTURE = Mixture(
    num_experts="moe_num_experts",
    top_k="moe_top_k",
    default_experts=16,
    default_top_k=4,
    default_intermediate=10240,
    block="moe",
    shared="share_expert",
    correction_bias="router_bias",
    router_dtype="float32",
)
_SLIDING = "sliding_attention"
_ROOT = "model.layers.*"


@dataclass(frozen=True, slots=True)
class _Heads:
    queries: int
    keys: int
    size: int


def _describe(config: Fields) -> Description:
    named = config.renamed({"num_key_value_heads": "num_attention_groups"})
    shape = read_shape(named, _DEFAULTS)
    kinds = config.texts("layer_types")[: shape.num_layers]
    if len(kinds) < shape.num_layers:
        raise config.fail("layer_types", f"a list of {shape.num_layers} texts")
    window = config.optional_whole("sliding_window")
    sliding = layers_where(shape.num_layers, lambda index: window is not None and kinds[index] == _SLIDING)
    found = read_experts(config, _MIXTURE, listed_layers(config, shape.num_layers))
    heads = _heads(config, shape, kinds)

    def layer(index: int) -> tuple[Module, ...]:
        norms = (norm(f"{_ROOT}.{name}", shape.hidden_size) for name in ("input_layernorm", "post_attention_layernorm"))
        return (*_attention(config, shape, heads[index]), *_follow(config, shape, found, index), *norms)

    groups = []
    for kind, layers in (
        (AttentionKind.FULL, layers_where(shape.num_layers, lambda index: index not in sliding)),
        (AttentionKind.SLIDING_WINDOW, sliding),
    ):
        for held in dict.fromkeys(heads[index] for index in layers):
            same = tuple(index for index in layers if heads[index] == held)
            reach = window if kind is AttentionKind.SLIDING_WINDOW else None
            groups.append(AttentionGroup(kind, same, held.queries, held.keys, held.size, held.size, reach))
    return put_together(
        Decoder(
            shape=shape,
            rope=read_rope(config, None),
            layer=layer,
            attention=tuple(groups),
            tied=config.flag("tie_word_embeddings"),
            buffers=_caches(config, shape.num_layers, kinds, heads),
            experts=found if found.layers else None,
        )
    )


def listed_layers(config: Fields, num_layers: int) -> tuple[int, ...]:
    """Layers with experts, a text of numbers with commas; all but the first where there is none.

    Raises:
        InvalidFieldError: the text is something else.
    """
    listed = config.text("moe_layers_enum")
    if not listed:
        return tuple(range(1, num_layers))
    entries = [entry.strip() for entry in listed.split(",")]
    if not all(entry.isascii() and entry.isdigit() and len(entry) <= 4 for entry in entries):
        raise config.fail("moe_layers_enum", "whole numbers, separated by commas")
    return tuple(sorted({int(entry) for entry in entries if int(entry) < num_layers}))


def _heads(config: Fields, shape: Shape, kinds: tuple[str, ...]) -> tuple[_Heads, ...]:
    usual = _Heads(shape.num_heads, shape.num_kv_heads, shape.head_size)
    other = config.part("attention_other_setting")
    if other is None:
        return (usual,) * shape.num_layers
    theirs = _Heads(
        other.whole("num_attention_heads", high=MOST_HEADS),
        other.whole("num_attention_groups", high=MOST_HEADS),
        other.whole("head_dim", high=LARGEST_HEAD),
    )
    if theirs.queries % theirs.keys:
        raise other.fail("num_attention_groups", f"a divisor of num_attention_heads ({theirs.queries})")
    kind = other.text("attention_type")
    return tuple(theirs if found == kind else usual for found in kinds)


def _attention(config: Fields, shape: Shape, heads: _Heads) -> tuple[Module, ...]:
    name, size, width = f"{_ROOT}.self_attn", heads.size, shape.hidden_size
    gate = (column(f"{name}.g_proj", width, heads.queries),) if config.flag("use_head_wise_attn_gate") else ()
    return (
        qkv(f"{name}.qkv_proj", width, (heads.queries, heads.keys), (size, size), config.flag("attention_bias")),
        row(f"{name}.o_proj", heads.queries * size, width),
        norm(f"{name}.q_norm", size),
        norm(f"{name}.k_norm", size),
        *gate,
    )


def _follow(config: Fields, shape: Shape, found: Experts, index: int) -> tuple[Module, ...]:
    if index not in found.layers:
        return gated_mlp(f"{_ROOT}.mlp", shape.hidden_size, shape.intermediate_size)
    shared = config.whole("share_expert_dim", found.intermediate_size * found.top_k, high=LARGEST_WIDTH)
    return mixture_modules(_MIXTURE, found, shape.hidden_size, _ROOT, shared)


def _caches(config: Fields, num_layers: int, kinds: tuple[str, ...], heads: tuple[_Heads, ...]) -> tuple[Section, ...]:
    """One cache for each rope: layers may have a base and a rotated share of their own."""
    thetas, shares = config.raw("rope_theta"), config.raw("partial_rotary_factors")
    stretched = config.texts("yarn_only_types")
    rows = config.whole("max_position_embeddings")
    ropes: dict[tuple[object, ...], Section] = {}
    for index in range(num_layers):
        theta = thetas[index] if isinstance(thetas, list) and index < len(thetas) else thetas
        share = shares[index] if isinstance(shares, list) and index < len(shares) else 1.0
        scaled = config.raw("rope_scaling") is not None and (not stretched or kinds[index] in stretched)
        rotary = heads[index].size if share == 1 else heads[index].size // 2
        length = read_rope(config, None).cache_rows if scaled else rows
        ropes.setdefault((str(theta)[:40], rotary, length), rope_cache(length, rotary))
    return tuple(ropes.values())


FAMILY = Family("step3p5", ("Step3p5ForCausalLM",), _describe)
