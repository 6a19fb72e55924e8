"""Phi 4 multimodal: a SigLIP of any resolution, a conformer and Phi 4 mini; its adapters are no part of the weights.

Source: vLLM 0.32 model_executor/models/phi4mm.py, phi4mm_audio.py, phi4mm_utils.py. The conformer is whole on every rank.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import Module, Section
from modelserving.models.families import idefics
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.more_dense import PHI3
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
    MOST_LAYERS,
    Vit,
    feature_layers,
    join,
    kept,
    part,
    plain,
    table,
    tower,
    vector,
)
from modelserving.models.fields import Fields

# phi4mm.py, get_navit_vision_model: the tower, whatever config.json says.
_SIGLIP = Vit(1152, 4304, 27, 16, 448, 14)
# Patches that become one token; tokens of an image of 36 tiles in one column and the whole, with an end to every row
# (dynamic_hd of the published processor).
_MERGE, _LARGEST_ITEM = 4, 10065
_EYE, _EAR = "vision_encoder", "embed_tokens_extend"
_IMAGES, _SOUNDS = ("image", "video"), ("audio",)
# Sides of a kernel of the conformer's front, where it halves time and frequency (NemoConvSubsampling).
_KERNEL = 3


@dataclass(frozen=True, slots=True)
class _Conformer:
    """Sizes of the conformer; shrink is how many frames become one."""

    width: int
    heads: int
    layers: int
    inner: int
    bins: int
    channels: int
    kernel: int
    shrink: int
    distance: int


def _describe(config: Fields) -> Description:
    text = PHI3.describe(config)
    width = text.hidden_size
    sizes = _read(config.part("audio_processor"))
    parts = (*_eye(config, width), *_ear(sizes, width))
    facts = tower(_SIGLIP, _SIGLIP.num_patches // _MERGE, (*_IMAGES, *_SOUNDS), _LARGEST_ITEM)
    # phi4mm.py asserts that there is one pipeline stage.
    return replace(join(text, parts, facts), supports_pipeline=False)


def _eye(config: Fields, out: int) -> tuple[Section, ...]:
    processor = config.part("img_processor") or Fields({}, "img_processor")
    layers = feature_layers(processor.renamed({"vision_feature_layer": "layer_idx"}), _SIGLIP, -2)
    width = _SIGLIP.hidden_size
    seen = (
        *idefics.vit_sections(_SIGLIP, f"{_EYE}.img_processor", layers, post_norm=False),
        part(
            vector(f"{_EYE}.glb_GN", width),
            vector(f"{_EYE}.sub_GN", width),
            plain(f"{_EYE}.img_projection.0", width, out),
            plain(f"{_EYE}.img_projection.2", out, out),
        ),
    )
    # None of it is given quantization settings.
    return tuple(
        replace(each, modalities=_IMAGES, modules=tuple(replace(module, quantizable=False) for module in each.modules))
        for each in seen
    )


def _read(processor: Fields | None) -> _Conformer:
    """Defaults: audio_processor of the published checkpoint."""
    config = (None if processor is None else processor.part("config")) or Fields({}, "audio_processor.config")
    front = config.part("nemo_conv_settings") or Fields({}, "nemo_conv_settings")
    bias = config.part("relative_attention_bias_args") or Fields({}, "relative_attention_bias_args")
    return _Conformer(
        width=config.whole("attention_dim", 1024, high=LARGEST_WIDTH),
        heads=config.whole("attention_heads", 16, high=LARGEST_WIDTH),
        layers=config.whole("num_blocks", 24, high=MOST_LAYERS),
        inner=config.whole("linear_units", 1536, high=LARGEST_WIDTH),
        bins=config.whole("input_size", 80, high=4096),
        channels=front.whole("conv_channels", 1024, high=LARGEST_WIDTH),
        kernel=config.whole("kernel_size", 3, high=1024),
        shrink=config.whole("time_reduction", 8, low=2, high=64),
        distance=bias.whole("t5_bias_max_distance", 500, high=2**16),
    )


def _ear(sizes: _Conformer, out: int) -> tuple[Section, ...]:
    root = f"{_EAR}.encoder"
    projectors = (
        plain(f"{_EAR}.{name}.{index}", sizes.width if index == 0 else out, out)
        for name in ("audio_projection", "audio_projection_for_vision")
        for index in (0, 2)
    )
    ends = (
        *_front(f"{root}.embed", sizes),
        table(f"{root}.relative_attention_bias_layer.bias_values", 2 * sizes.distance, sizes.heads),
        vector(f"{root}.encoder_embedding.global_mean", sizes.bins),
        vector(f"{root}.encoder_embedding.global_invstd", sizes.bins),
        *projectors,
    )
    return (
        part(*ends, modalities=_SOUNDS),
        kept(table(f"{root}.dev_type", 1, 1), modalities=_SOUNDS),
        part(*_block(f"{root}.encoders.*", sizes), repeats=sizes.layers, modalities=_SOUNDS),
    )


def _front(name: str, sizes: _Conformer) -> tuple[Module, ...]:
    """A convolution, then one by channel and one by point for each further halving of time and frequency."""
    channels, halvings = sizes.channels, sizes.shrink.bit_length() - 1
    modules = [plain(f"{name}.conv.0", _KERNEL**2, channels)]
    for index in range(halvings - 1):
        first = 2 + 3 * index
        modules.append(plain(f"{name}.conv.{first}", _KERNEL**2, channels))
        modules.append(plain(f"{name}.conv.{first + 1}", channels, channels))
    bins = sizes.bins
    for _ in range(halvings):
        bins = -(-bins // 2)
    return (*modules, plain(f"{name}.out", channels * bins, sizes.width))


def _block(name: str, sizes: _Conformer) -> tuple[Module, ...]:
    width, conv = sizes.width, f"{name}.conv"
    return (
        *_feed_forward(f"{name}.feed_forward_in", sizes),
        *(plain(f"{name}.self_attn.linear_{key}", width, width) for key in ("q", "k", "v", "out")),
        norm(f"{conv}.layer_norm", width, True),
        vector(f"{conv}.glu.b1", width),
        vector(f"{conv}.glu.b2", width),
        plain(f"{conv}.glu.ext_pw_conv_1d", width, 2 * width),
        plain(f"{conv}.ext_pw_conv_1d", width, width),
        plain(f"{conv}.dw_sep_conv_1d.dw_conv", sizes.kernel, width),
        plain(f"{conv}.dw_sep_conv_1d.pw_conv", width, width),
        *_feed_forward(f"{name}.feed_forward_out", sizes),
        norm(f"{name}.layer_norm_att", width, True),
        norm(f"{name}.layer_norm", width, True),
    )


def _feed_forward(name: str, sizes: _Conformer) -> tuple[Module, ...]:
    return (
        norm(f"{name}.layer_norm", sizes.width, True),
        plain(f"{name}.net.0.linear", sizes.width, 2 * sizes.inner),
        plain(f"{name}.net.2", sizes.inner, sizes.width),
    )


FAMILY: Family = Family(
    "phi4_mm",
    ("Phi4MMForCausalLM",),
    _describe,
    # phi4mm.py, hf_to_vllm_mapper.
    (
        ("model.embed_tokens_extend.audio_embed.audio_projection.vision.", f"{_EAR}.audio_projection_for_vision."),
        ("model.embed_tokens_extend.audio_embed.audio_projection.speech.", f"{_EAR}.audio_projection."),
        ("model.embed_tokens_extend.audio_embed.", f"{_EAR}."),
        ("model.embed_tokens_extend.image_embed.", f"{_EYE}."),
    ),
    ((".base_layer.", "."),),
)
