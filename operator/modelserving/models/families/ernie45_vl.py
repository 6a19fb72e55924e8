"""ERNIE 4.5 VL: a tower of any resolution, a resampler and a decoder with experts of its own for text and for images.

Source: vLLM 0.32 model_executor/models/ernie45_vl.py, ernie45_vl_moe.py.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import Experts, Module, Section, Split, Stage
from modelserving.models.families.decoder import LARGEST_WIDTH, MOST_EXPERTS, read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, experts, gated_mlp, norm, router
from modelserving.models.families.towers import (
    MOST_LAYERS,
    Vit,
    attention,
    join,
    kept,
    mlp,
    part,
    plain,
    table,
    tower,
)
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# transformers Ernie4_5_VLMoeTextConfig.
_DECODER = DenseDecoder(
    defaults={
        "hidden_size": 2560,
        "intermediate_size": 12288,
        "num_hidden_layers": 28,
        "num_attention_heads": 20,
        "num_key_value_heads": 4,
        "vocab_size": 103424,
        "max_position_embeddings": 131072,
    },
    qkv_bias="use_bias",
    tied=True,
    rope="none",
)
# Cache rows a position (layers/rotary_embedding/mrope.py), in every layer a cache of its own (ernie45_vl_moe.py).
_STRETCH = 4
_PREFIX = "language_model."
_ROOT = f"{_PREFIX}model.layers.*"
_KINDS = ("text", "vision")
# Tokens that mark an image or video, which it keeps as numbers.
_MARKS = (
    "im_patch_id",
    "image_start_token_id",
    "image_end_token_id",
    "video_start_token_id",
    "video_end_token_id",
)
# 4,816,896 pixels of 28 x 28 a token (transformers Ernie4_5_VLMoeImageProcessor, size.longest_edge).
_LARGEST_ITEM = 6144
_MODALITIES = ("image", "video")


@dataclass(frozen=True, slots=True)
class _Pair:
    """Experts for text and for images: how many, how wide, the layers of each."""

    count: int
    widths: tuple[int, int]
    layers: tuple[range, range]
    sparse: tuple[int, ...]


def _describe(config: Fields) -> Description:
    text = _text(config)
    vision = config.required_part("vision_config")
    vit = _read(vision)
    merge = config.whole("spatial_conv_size", 2, high=64) ** 2
    resampler = part(*_resampler(config, vit, text.hidden_size, merge))
    held = sum(config.raw(key) is not None for key in _MARKS)
    marks = (Section(Stage.EVERY, (table("_visual_token_ids_tensor_cache", 1, held, "int64"),), buffers=True),)
    facts = tower(vit, vit.num_patches // merge, _MODALITIES, _LARGEST_ITEM)
    facts = replace(facts, patches_per_image=_LARGEST_ITEM * merge, tokens_per_image=_LARGEST_ITEM)
    return join(text, (*_vit(vit), resampler, *(marks if config.raw(_MARKS[0]) else ())), facts)


def _text(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    pair = _pair(config, shape.num_layers)
    shared = pair.widths[0] * config.whole("moe_num_shared_experts", 0, low=0, high=4096)

    def follow(index: int, root: str) -> tuple[Module, ...]:
        if index not in pair.sparse:
            return gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size)
        return _mixture(pair, index, f"{root}.mlp", shape.hidden_size, shape.intermediate_size, shared)

    found = Experts(
        num_experts=pair.count,
        top_k=config.whole("moe_k", 6, high=pair.count),
        intermediate_size=max(pair.widths),
        layers=pair.sparse,
    )
    rope = read_rope(config, _DECODER.defaults["max_position_embeddings"])
    cache = Module(f"{_ROOT}.self_attn.rotary_emb.cos_sin_cache", Split.REPLICATED, shape.head_size, ())
    cache = replace(cache, out_features=(_STRETCH * rope.cache_rows,))
    caches = Section(Stage.LAYERS, (cache,), layers=tuple(range(shape.num_layers)), buffers=True)
    return describe_dense(config, _DECODER, _PREFIX, follow, found if pair.sparse else None, (caches,))


def _pair(config: Fields, num_layers: int) -> _Pair:
    """Pairs of numbers, the first for text; both kinds have as many experts (ernie45_vl_moe.py asserts it)."""
    counts = config.wholes("moe_num_experts", 64, low=1, high=MOST_EXPERTS)
    widths = config.wholes("moe_intermediate_size", 1536, low=1, high=LARGEST_WIDTH)
    starts = config.wholes("moe_layer_start_index", 1, low=0, high=MOST_LAYERS)
    ends = config.wholes("moe_layer_end_index", num_layers - 1, low=0, high=MOST_LAYERS)
    if counts[0] != counts[-1]:
        raise config.fail("moe_num_experts", "the same number for text and for images")
    step = config.whole("moe_layer_interval", 1, high=1024)
    inside = range(min(starts), min(max(ends) + 1, num_layers))
    return _Pair(
        counts[0],
        (widths[0], widths[-1]),
        (range(starts[0], ends[0] + 1), range(starts[-1], ends[-1] + 1)),
        tuple(index for index in inside if (index + 1) % step == 0),
    )


def _mixture(pair: _Pair, index: int, name: str, width: int, inner: int, shared: int) -> tuple[Module, ...]:
    bias = Module(f"{name}.e_score_correction_bias", Split.REPLICATED, pair.count, (2,), fixed_dtype="float32")
    modules = [bias, *(gated_mlp(f"{name}.shared_experts", width, shared) if shared else ())]
    for kind, size, layers in zip(_KINDS, pair.widths, pair.layers, strict=True):
        if index not in layers:
            modules.extend(gated_mlp(f"{name}.{kind}_experts", width, inner))
            continue
        gate = router(f"{name}.{kind}_experts_gate", width, pair.count)
        modules.append(replace(gate, fixed_dtype="float32", quantizable=True))
        modules.extend(experts(f"{name}.{kind}_experts", pair.count, width, size))
    return tuple(modules)


def _read(vision: Fields) -> Vit:
    # Defaults: transformers Ernie4_5_VLMoeVisionConfig; an image has no size of its own.
    width = vision.whole("hidden_size", 1280, high=LARGEST_WIDTH)
    heads = vision.whole("num_heads", 16, high=width)
    if width % heads:
        raise vision.fail("num_heads", f"a divisor of hidden_size ({width})")
    inner = max(1, int(width * vision.number("mlp_ratio", 4.0, 0.01, 64.0)))
    patch = vision.whole("patch_size", 14, high=1024)
    layers = vision.whole("depth", 32, high=MOST_LAYERS)
    return Vit(width, inner, layers, heads, patch, patch, vision.whole("in_channels", 3, high=64))


def _vit(vit: Vit) -> tuple[Section, ...]:
    root, width = "vision_model", vit.hidden_size
    name = f"{root}.blocks.*"
    layer = (
        norm(f"{name}.norm1", width, True),
        norm(f"{name}.norm2", width, True),
        *attention(f"{name}.attn", width, vit.num_heads, "qkv", "proj", ("qkv",)),
        *mlp(f"{name}.mlp", width, vit.intermediate_size),
    )
    quarter = max(1, width // vit.num_heads // 4)
    return (
        part(plain(f"{root}.patch_embed.proj", vit.pixels, width, False), norm(f"{root}.ln", width, True)),
        kept(table(f"{root}.rotary_pos_emb.inv_freq", 1, quarter, "float32")),
        part(*layer, repeats=vit.num_layers),
    )


def _resampler(config: Fields, vit: Vit, out: int, merge: int) -> tuple[Module, ...]:
    """Layers that are cut, but never quantized: its config has no `quant_config`."""
    joined = config.whole("pixel_hidden_size", vit.hidden_size, high=LARGEST_WIDTH) * merge
    frames = config.whole("temporal_conv_size", 2, high=64)
    kinds = (("spatial", joined), *((("temporal", joined * frames),) if config.flag("use_temporal_conv", True) else ()))
    name = "resampler_model"
    modules: list[Module] = []
    for kind, inputs in kinds:
        modules += [
            column(f"{name}.{kind}_linear1", inputs, joined, True, quantizable=False),
            column(f"{name}.{kind}_linear2", joined, joined, True, quantizable=False),
            norm(f"{name}.{kind}_norm", joined, True),
        ]
    return (*modules, column(f"{name}.mlp", joined, out, True, quantizable=False), norm(f"{name}.after_norm", out))


FAMILY: Family = Family(
    "ernie45_vl_moe",
    ("Ernie4_5_VLMoeForConditionalGeneration",),
    _describe,
    # ernie45_vl.py, hf_to_vllm_mapper.
    (
        ("lm_head.", "language_model.lm_head."),
        ("model.resampler_model.", "resampler_model."),
        ("model.", "language_model.model."),
    ),
    (
        ("spatial_linear.0.", "spatial_linear1."),
        ("spatial_linear.2.", "spatial_linear2."),
        ("spatial_linear.3.", "spatial_norm."),
        ("temporal_linear.0.", "temporal_linear1."),
        ("temporal_linear.2.", "temporal_linear2."),
        ("temporal_linear.3.", "temporal_norm."),
        (".moe_statics.", "."),
    ),
    ("language_model.model.mtp_",),
)
