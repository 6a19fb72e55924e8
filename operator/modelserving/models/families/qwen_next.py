"""Qwen3-Next, Qwen 3.5 and 3.6: gated delta nets and gated attention in turn, dense or with experts.

Source: vLLM 0.32 model_executor/models/qwen3_next.py, qwen3_5.py.
"""

from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module
from modelserving.models.families.decoder import LARGEST_WIDTH, Decoder, Shape, layers_where, put_together, read_shape
from modelserving.models.families.delta_net import delta_net_group, delta_net_modules, read_delta_net
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp, norm, qkv, rope_cache, row
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts, sparse_layers
from modelserving.models.families.qwen_vit import QwenVit, read_sizes, sections, tower
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# Defaults: transformers Qwen3NextConfig; Qwen 3.5's differ only where its checkpoints state the field.
_DEFAULTS = {
    "num_key_value_heads": 2,
    "head_dim": 256,
    "max_position_embeddings": 32768,
    "intermediate_size": 5632,
    "vocab_size": 151936,
}
_MIXTURE = Mixture(
    default_experts=512,
    default_top_k=10,
    default_intermediate=512,
    shared="shared_expert",
    shared_gate=True,
)
_FULL_INTERVAL = 4
# Rotated share of a head where config.json has none.
_ROTATED = 0.25
_VIT = QwenVit(
    1152, 4304, 27, 16, 16, 2, 3, 2, 3584, gated=False, rms=False, patch_bias=True, positions=2304, newer=True
)


def _decoder(config: Fields, interleaved: bool, sparse: bool, prefix: str = "") -> Description:
    shape = read_shape(config, _DEFAULTS)
    net = read_delta_net(config, interleaved)
    rope = read_rope(config, _DEFAULTS["max_position_embeddings"], _ROTATED)
    found = read_experts(config, _MIXTURE, sparse_layers(config, shape.num_layers)) if sparse else None
    shared = config.whole("shared_expert_intermediate_size", 512, low=0, high=LARGEST_WIDTH) if sparse else 0
    full = _full_layers(config, shape.num_layers)
    gated = config.flag("attn_output_gate", True)
    root = f"{prefix}model.layers.*"

    def layer(index: int) -> tuple[Module, ...]:
        if index in full:
            first = _attention(shape, gated, f"{root}.self_attn")
        else:
            first = delta_net_modules(net, shape.hidden_size, f"{root}.linear_attn")
        if found is not None and index in found.layers:
            follow = mixture_modules(_MIXTURE, found, shape.hidden_size, root, shared)
        else:
            follow = gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size)
        norms = (norm(f"{root}.{name}", shape.hidden_size) for name in ("input_layernorm", "post_attention_layernorm"))
        return (*first, *follow, *norms)

    size = shape.head_size
    groups = (
        delta_net_group(net, layers_where(shape.num_layers, lambda index: index not in full)),
        AttentionGroup(AttentionKind.FULL, full, shape.num_heads, shape.num_kv_heads, size, size),
    )
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=tuple(group for group in groups if group.layers),
            tied=config.flag("tie_word_embeddings"),
            prefix=prefix,
            buffers=(rope_cache(rope.cache_rows, max(2, int(size * rope.partial_rotary_factor))),) if full else (),
            experts=found,
        )
    )


def _full_layers(config: Fields, num_layers: int) -> tuple[int, ...]:
    kinds = config.texts("layer_types")
    if kinds:
        if len(kinds) < num_layers:
            raise config.fail("layer_types", f"a list of {num_layers} texts")
        return layers_where(num_layers, lambda index: kinds[index] == "full_attention")
    every = config.whole("full_attention_interval", _FULL_INTERVAL, high=num_layers)
    return layers_where(num_layers, lambda index: (index + 1) % every == 0)


def _attention(shape: Shape, gated: bool, name: str) -> tuple[Module, ...]:
    """Attention whose query projection makes a gate besides: twice the query heads."""
    size, width = shape.head_size, shape.hidden_size
    queries = shape.num_heads * (2 if gated else 1)
    return (
        qkv(f"{name}.qkv_proj", width, (queries, shape.num_kv_heads), (size, size)),
        row(f"{name}.o_proj", shape.num_heads * size, width),
        norm(f"{name}.q_norm", size),
        norm(f"{name}.k_norm", size),
    )


def _with_vision(config: Fields, sparse: bool) -> Description:
    text = _decoder(config.required_part("text_config"), False, sparse, "language_model.")
    tied = config.flag("tie_word_embeddings")
    vit = read_sizes(config.required_part("vision_config"), _VIT, text.hidden_size)
    return replace(text, sections=(*sections(vit), *text.sections), vision=tower(vit), tie_word_embeddings=tied)


_PREFIXES = (
    ("model.language_model.", "language_model.model."),
    ("model.visual.", "visual."),
    ("lm_head.", "language_model.lm_head."),
)
_UNUSED = ("mtp.", "model.mtp.")
QWEN3_NEXT = Family(
    "qwen3_next", ("Qwen3NextForCausalLM",), lambda config: _decoder(config, True, True), unused=_UNUSED
)
QWEN3_5_TEXT = Family(
    "qwen3_5_text", ("Qwen3_5ForCausalLM",), lambda config: _decoder(config, False, False), unused=_UNUSED
)
QWEN3_5_MOE_TEXT = Family(
    "qwen3_5_moe_text", ("Qwen3_5MoeForCausalLM",), lambda config: _decoder(config, False, True), unused=_UNUSED
)
QWEN3_5 = Family(
    "qwen3_5",
    ("Qwen3_5ForConditionalGeneration",),
    lambda config: _with_vision(config, False),
    _PREFIXES,
    unused=_UNUSED,
)
QWEN3_5_MOE = Family(
    "qwen3_5_moe",
    ("Qwen3_5MoeForConditionalGeneration",),
    lambda config: _with_vision(config, True),
    _PREFIXES,
    unused=_UNUSED,
)
