"""openPangu: latent attention, attention with stored sinks, or as in Llama; experts from a layer on.

Source: vLLM 0.32 model_executor/models/openpangu.py (OpenPanguDecoderLayer, which chooses by the fields of config.json). The
models bring config classes of their own.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section, Split, Stage
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    MOST_EXPERTS,
    Decoder,
    put_together,
    read_shape,
)
from modelserving.models.families.deepseek import Kind, describe_latent
from modelserving.models.families.dense import DenseDecoder, FeedForward, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp, merged, norm, rope_cache, row
from modelserving.models.families.llama import biased
from modelserving.models.families.mixture import Mixture, either, layers_from, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_NORMS = ("input_layernorm", "post_attention_layernorm")
_SANDWICH = ("pre_mlp_layernorm", "post_mlp_layernorm")
_LATENT = ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "kv_lora_rank")
_ROOT = "model.layers.*"
_POSITIONS = 8192
_MOST_SINKS = 2**16


def _describe(config: Fields) -> Description:
    if all(config.has(key) for key in _LATENT):
        return _latent(config)
    if config.whole("param_sink_number", 0, low=0, high=_MOST_SINKS):
        return _with_sinks(config)
    found, follow = _follow(config)
    decoder = biased(config, DenseDecoder(defaults={"max_position_embeddings": _POSITIONS}, norms=_norms(config)))
    return describe_dense(_windows(config), decoder, feed_forward=follow, experts=found)


def _norms(config: Fields) -> tuple[str, ...]:
    return _NORMS + (_SANDWICH if config.flag("sandwich_norm") else ())


def _latent(config: Fields) -> Description:
    method = "noaux_tc" if config.flag("router_enable_expert_bias") else ""
    # Its rope is yarn with a factor of 1: the cache is as long as the context (OpenPanguMLAAttention).
    plain = config.replaced({"topk_method": method, "rope_scaling": None, "rope_parameters": None})
    return describe_latent(plain, kind=Kind(norms=_norms(config)))


def _follow(config: Fields) -> tuple[Experts | None, FeedForward]:
    """Experts, if there are any, and what follows the attention of each layer."""
    shape = read_shape(config, head_dim_key=False)
    bias = config.flag("mlp_bias")

    def mlp(root: str) -> tuple[Module, ...]:
        return gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size, bias)

    if config.raw("n_routed_experts") is None:
        return None, lambda index, root: mlp(root)
    mixture = Mixture(
        num_experts="n_routed_experts",
        shared="shared_experts",
        correction_bias="gate.e_score_correction_bias" if config.flag("router_enable_expert_bias") else "",
    )
    config.whole("first_k_dense_replace", low=0, high=shape.num_layers)
    found = read_experts(config, mixture, layers_from(config, shape.num_layers, "first_k_dense_replace", ""))
    shared = config.whole("n_shared_experts", 0, low=0, high=MOST_EXPERTS) * found.intermediate_size
    follow = either(found.layers, lambda root: mixture_modules(mixture, found, shape.hidden_size, root, shared), mlp)
    return found, follow


def _windows(config: Fields) -> Fields:
    """The config with its repeating list of windows under the names that other models have."""
    if not config.has("interleaved_sliding_window"):
        return config.replaced({"sliding_window": None})
    listed = config.raw("interleaved_sliding_window")
    windows = listed if isinstance(listed, list) and listed else [listed]
    sizes = {size for size in windows if isinstance(size, int)}
    if len(sizes) > 1 or any(size is not None and not isinstance(size, int) for size in windows):
        raise config.fail("interleaved_sliding_window", "a whole number, or a list of one and of null")
    layers = config.whole("num_hidden_layers", high=1024)
    kinds = (
        "full_attention" if windows[index % len(windows)] is None else "sliding_attention" for index in range(layers)
    )
    return config.replaced({"sliding_window": next(iter(sizes), None), "layer_types": list(kinds)})


def _with_sinks(config: Fields) -> Description:
    """Keys and values of tokens that are weights stand before every context (OpenPanguSinkAttention)."""
    shape = read_shape(config, head_dim_key=False)
    nope, rotary, size_v = (
        config.whole(key, high=LARGEST_HEAD // 2) for key in ("qk_nope_dim", "qk_rope_dim", "v_channels")
    )
    size, width, shared = nope + rotary, shape.hidden_size, shape.num_kv_heads
    output = config.flag("attention_bias") or config.flag("bias")
    sinks = config.whole("param_sink_number", high=_MOST_SINKS)
    found, follow = _follow(config)
    name = f"{_ROOT}.self_attn"
    rows = (shape.num_heads * size, shared * size, shared * size_v)
    keys, values = (
        Module(f"{name}.param_sink_{part}", Split.COLUMN, sinks * each, (shared,))
        for part, each in (("key", size), ("value", size_v))
    )
    stored = config.flag("param_sink_with_value")
    attention = (
        merged(f"{name}.qkv_proj", width, rows, ("q_proj", "k_proj", "v_proj"), config.flag("qkv_bias", output)),
        row(f"{name}.o_proj", shape.num_heads * size_v, width, output),
        norm(f"{name}.k_layernorm", size),
        keys,
        *((values,) if stored else ()),
    )
    everything = tuple(range(shape.num_layers))
    rope = read_rope(config.replaced({"rope_scaling": None, "rope_parameters": None}), _POSITIONS)
    zeros = () if stored else (Section(Stage.LAYERS, (values,), layers=everything, buffers=True),)
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: (
                *attention,
                *follow(index, _ROOT),
                *(norm(f"{_ROOT}.{part}", width) for part in _norms(config)),
            ),
            attention=(AttentionGroup(AttentionKind.FULL, everything, shape.num_heads, shared, size, size_v),),
            tied=config.flag("tie_word_embeddings"),
            buffers=(rope_cache(rope.cache_rows, rotary), *zeros),
            experts=found,
        )
    )


FAMILY = Family(
    "openpangu",
    ("PanguEmbeddedForCausalLM", "PanguProMoEV2ForCausalLM", "PanguUltraMoEForCausalLM"),
    _describe,
    renames=((".mlp.e_score_correction_bias", ".mlp.gate.e_score_correction_bias"),),
)
