"""Gemma 3n: four streams of hidden states, embeddings of its own for every layer, later layers without keys.

Source: vLLM 0.32 model_executor/models/gemma3n.py. Sizes by default: transformers Gemma3nTextConfig.
"""

from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage
from modelserving.models.families.decoder import (
    LARGEST_VOCABULARY,
    LARGEST_WIDTH,
    Decoder,
    Shape,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.gemma2 import NORMS
from modelserving.models.families.layers import column, gated_mlp, norm, qkv, replicated, rope_cache, row
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_DEFAULTS = {
    "hidden_size": 2048,
    "intermediate_size": 16384,
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "vocab_size": 262400,
    "max_position_embeddings": 32768,
}
_PER_LAYER_VOCABULARY, _PER_LAYER_WIDTH = 262144, 256
_SHARED_LAYERS, _WINDOW, _STREAMS, _LAUREL_RANK = 15, 512, 4, 64
_SLIDING, _PATTERN = "sliding_attention", 5
# Numbers that scale embeddings (Gemma3nSelfDecoder), each in the model's dtype.
_SCALES = ("embed_scale", "embed_scale_per_layer", "per_layer_input_scale", "per_layer_projection_scale")
# Names that stand in the decoder in a checkpoint and in its first part in vLLM (Gemma3nTextModel.hf_to_vllm_mapper).
_MOVED = (
    "embed_tokens.",
    "embed_tokens_per_layer.",
    "per_layer_model_projection.",
    "per_layer_projection_norm.",
    "altup_projections.",
)


def describe_text(config: Fields, prefix: str = "") -> Description:
    """Describe the decoder; its head is always the embedding (Gemma3nForCausalLM.compute_logits).

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    inner = config.wholes("intermediate_size", _DEFAULTS["intermediate_size"], low=1, high=LARGEST_WIDTH)
    shape = read_shape(config.having(intermediate_size=max(inner)), _DEFAULTS)
    layers = shape.num_layers
    if 1 < len(inner) < layers:
        raise config.fail("intermediate_size", f"a whole number or a list of {layers}")
    first_shared = layers - config.whole("num_kv_shared_layers", _SHARED_LAYERS, low=0, high=layers)
    streams = config.whole("altup_num_inputs", _STREAMS, high=64)
    per_layer = config.whole("hidden_size_per_layer_input", _PER_LAYER_WIDTH, high=LARGEST_WIDTH)
    rank = config.whole("laurel_rank", _LAUREL_RANK, high=LARGEST_WIDTH)
    rope = read_rope(config, _DEFAULTS["max_position_embeddings"])
    positions = config.whole("max_position_embeddings", _DEFAULTS["max_position_embeddings"])
    width, root = shape.hidden_size, f"{prefix}model.layers.*"

    def layer(index: int) -> tuple[Module, ...]:
        return (
            *_streams(f"{root}.altup", width, streams),
            *_attention(config, shape, f"{root}.self_attn", index >= first_shared),
            *gated_mlp(f"{root}.mlp", width, inner[index] if len(inner) > 1 else inner[0]),
            column(f"{root}.laurel.linear_left", width, rank),
            row(f"{root}.laurel.linear_right", rank, width),
            norm(f"{root}.laurel.post_laurel_norm", width),
            replicated(f"{root}.per_layer_input_gate", width, per_layer),
            replicated(f"{root}.per_layer_projection", per_layer, width),
            *(norm(f"{root}.{name}", width) for name in (*NORMS, "post_per_layer_input_norm")),
        )

    description = put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=_groups(config, shape, first_shared),
            tied=True,
            prefix=prefix,
            embedding="self_decoder.embed_tokens",
            buffers=(
                rope_cache(positions, shape.head_size),
                rope_cache(rope.cache_rows, shape.head_size),
                *_scales(f"{prefix}model", layers),
            ),
        )
    )
    tables = _tables(config, shape, f"{prefix}model", per_layer, streams)
    # gemma3n.py, Gemma3nForCausalLM: no SupportsPP.
    return replace(description, sections=(tables, *description.sections), supports_pipeline=False)


def _streams(name: str, width: int, streams: int) -> tuple[Module, ...]:
    """What mixes the streams before a layer and after it (Gemma3nAltUp)."""
    return (
        replicated(f"{name}.correction_coefs", streams, streams),
        replicated(f"{name}.prediction_coefs", streams, streams**2),
        replicated(f"{name}.modality_router", width, streams),
        norm(f"{name}.router_norm", width),
        Module(f"{name}.correct_output_scale", Split.REPLICATED, 1, (width,), fixed_dtype="float32"),
    )


def _attention(config: Fields, shape: Shape, name: str, is_shared: bool) -> tuple[Module, ...]:
    size, width, biased = shape.head_size, shape.hidden_size, config.flag("attention_bias")
    wide = shape.num_heads * size
    output = (row(f"{name}.o_proj", wide, width, biased), norm(f"{name}.q_norm", size))
    if is_shared:
        return (column(f"{name}.q_proj", width, wide, biased), *output)
    joined = qkv(f"{name}.qkv_proj", width, (shape.num_heads, shape.num_kv_heads), (size, size), biased)
    return (joined, *output, norm(f"{name}.k_norm", size))


def _tables(config: Fields, shape: Shape, root: str, per_layer: int, streams: int) -> Section:
    rows = config.whole("vocab_size_per_layer_input", _PER_LAYER_VOCABULARY, high=LARGEST_VOCABULARY)
    wide, width, own = per_layer * shape.num_layers, shape.hidden_size, f"{root}.self_decoder"
    return Section(
        Stage.EVERY,
        (
            Module(f"{own}.embed_tokens_per_layer", Split.VOCAB, wide, (rows,)),
            column(f"{own}.per_layer_model_projection", width, wide),
            norm(f"{own}.per_layer_projection_norm", per_layer),
            *(column(f"{own}.altup_projections.{index}", width, width) for index in range(streams - 1)),
            *(column(f"{root}.altup_unembed_projections.{index}", width, width) for index in range(streams - 1)),
        ),
    )


def _groups(config: Fields, shape: Shape, first_shared: int) -> tuple[AttentionGroup, ...]:
    kinds = config.texts("layer_types")
    if kinds and len(kinds) < shape.num_layers:
        raise config.fail("layer_types", f"a list of {shape.num_layers} texts")
    sliding = layers_where(
        shape.num_layers,
        lambda index: kinds[index] == _SLIDING if kinds else (index + 1) % _PATTERN != 0,
    )
    window = config.whole("sliding_window", _WINDOW)
    held = range(first_shared)
    found = (
        (AttentionKind.SLIDING_WINDOW, tuple(index for index in held if index in sliding), window),
        (AttentionKind.FULL, tuple(index for index in held if index not in sliding), None),
        (AttentionKind.SHARED, tuple(range(first_shared, shape.num_layers)), None),
    )
    size = shape.head_size
    return tuple(
        AttentionGroup(kind, layers, shape.num_heads, shape.num_kv_heads, size, size, reach)
        for kind, layers, reach in found
        if layers
    )


def _scales(root: str, layers: int) -> tuple[Section, ...]:
    own = tuple(Module(f"{root}.self_decoder.{name}", Split.REPLICATED, 1, (1,)) for name in _SCALES)
    router = Module(f"{root}.layers.*.altup.router_input_scale", Split.REPLICATED, 1, (1,))
    return (
        Section(Stage.EVERY, own, buffers=True),
        Section(Stage.LAYERS, (router,), layers=tuple(range(layers)), buffers=True),
    )


def moved(stored: str, built: str) -> tuple[tuple[str, str], ...]:
    """Prefixes of a checkpoint's decoder and of vLLM's, for names that stand elsewhere in it."""
    return tuple((f"{stored}{name}", f"{built}self_decoder.{name}") for name in _MOVED)


TEXT: Family = Family("gemma3n_text", ("Gemma3nForCausalLM",), describe_text, moved("model.", "model."))
