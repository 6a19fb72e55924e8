"""Gemma 3n with images and sounds: MobileNet V5, a conformer and the decoder (vLLM 0.32: model_executor/models/gemma3n_mm.py).

Both towers are transformers' own, whole on every rank. Sizes by default: transformers Gemma3nAudioConfig, Gemma3nVisionConfig.
"""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, VisionTower
from modelserving.models.families import mobilenet_v5
from modelserving.models.families.family import Description, Family
from modelserving.models.families.gemma3n import describe_text, moved
from modelserving.models.families.layers import norm, row
from modelserving.models.families.towers import LARGEST_WIDTH, MOST_LAYERS, join, kept, part, plain, table, vector
from modelserving.models.fields import Fields, InvalidFieldError, show

_IMAGE, _AUDIO = ("image",), ("audio",)
_TOWER = "mobilenetv5_300m_enc"
# gemma3n_mm.py, TOKENS_PER_IMAGE and TOKENS_PER_AUDIO.
_IMAGE_TOKENS, _AUDIO_TOKENS = 256, 188
_VOCABULARY = 128
_CHANNELS = (128, 32)
_KERNEL, _STRIDE = 3, 2
_FEED_FORWARD = 4
_CLIPPED = ("", ".ffw_layer_start", ".attention", ".lconv1d", ".ffw_layer_end")


def _describe(config: Fields) -> Description:
    text = describe_text(config.required_part("text_config"), "language_model.")
    vision = config.part("vision_config") or Fields({}, "vision_config")
    if (kind := vision.text("architecture", _TOWER)) != _TOWER:
        raise InvalidFieldError(f"{vision.name('architecture')} is {show(kind)}; Gemma 3n is known with {_TOWER} only")
    audio = config.part("audio_config") or Fields({}, "audio_config")
    parts = (
        *mobilenet_v5.sections("vision_tower.timm_model", _IMAGE),
        _embedder("embed_vision", vision, mobilenet_v5.OUT, text.hidden_size, _IMAGE),
        *_conformer(audio),
        _embedder("embed_audio", audio, 1536, text.hidden_size, _AUDIO),
    )
    # A tower of convolutions: its facts are those of the stages where nearly all of its layers are.
    facts = VisionTower(
        hidden_size=1280,
        intermediate_size=2560,
        num_layers=mobilenet_v5.LAYERS,
        num_heads=16,
        patches_per_image=mobilenet_v5.GRID**2,
        tokens_per_image=_AUDIO_TOKENS,
        max_tokens_per_item=_IMAGE_TOKENS,
        modalities=(*_IMAGE, *_AUDIO),
    )
    return join(text, parts, facts)


def _embedder(name: str, config: Fields, default: int, out: int, modalities: tuple[str, ...]) -> Section:
    """Gemma3nMultimodalEmbedder."""
    width = config.whole("hidden_size", default, high=LARGEST_WIDTH)
    rows = config.whole("vocab_size", _VOCABULARY, high=2**20)
    return part(
        Module(f"{name}.embedding", Split.VOCAB, width, (rows,)),
        norm(f"{name}.hard_embedding_norm", width),
        norm(f"{name}.soft_embedding_norm", width),
        row(f"{name}.embedding_projection", width, out, quantizable=False),
        modalities=modalities,
    )


def _conformer(audio: Fields) -> tuple[Section, ...]:
    width = audio.whole("hidden_size", 1536, high=LARGEST_WIDTH)
    heads = audio.whole("conf_num_attention_heads", 8, high=width)
    if width % heads:
        raise audio.fail("conf_num_attention_heads", f"a divisor of hidden_size ({width})")
    layers = audio.whole("conf_num_hidden_layers", 12, high=MOST_LAYERS)
    chunk = audio.whole("conf_attention_chunk_size", 12, high=2**12)
    left = audio.whole("conf_attention_context_left", 13, high=2**12)
    right = audio.whole("conf_attention_context_right", 0, low=0, high=2**12)
    context = max(1, chunk + left - 1 + right)
    name = "audio_tower.conformer.*"
    kernel = audio.whole("conf_conv_kernel_size", 5, high=1024)
    buffers = (
        *(table(f"{name}{owner}.gradient_clipping", 1, 1) for owner in _CLIPPED),
        table(f"{name}.attention.attn.q_scale", 1, 1),
        table(f"{name}.attention.attn.softcap", 1, 1, "float32"),
        table(f"{name}.attention.attn.local_causal_valid_mask", chunk, context, "uint8"),
        table(f"{name}.attention.attn.relative_position_embedding.inv_timescales", 1, max(1, width // 2), "float32"),
    )
    return (
        part(*_subsampling(audio, width), modalities=_AUDIO),
        part(*_block(name, width, width // heads, kernel), repeats=layers, modalities=_AUDIO),
        replace(kept(*buffers, modalities=_AUDIO), repeats=layers),
    )


def _subsampling(audio: Fields, width: int) -> tuple[Module, ...]:
    """Two convolutions and a projection (Gemma3nAudioSubSampleConvProjection); their kernels are those of the defaults."""
    named = audio.or_else({"sscp_conv_channel_size": _CHANNELS})
    channels = named.wholes("sscp_conv_channel_size", 0, low=1, high=2**16)
    first, second = channels[0], channels[-1]
    features = audio.whole("input_feat_size", 128, high=2**12)
    for _ in range(2):
        features = (features + 2 - _KERNEL) // _STRIDE + 1
    name = "audio_tower.subsample_conv_projection"
    return (
        plain(f"{name}.conv_0.conv", _KERNEL**2, first, False),
        norm(f"{name}.conv_0.norm", first),
        plain(f"{name}.conv_1.conv", first * _KERNEL**2, second, False),
        norm(f"{name}.conv_1.norm", second),
        plain(f"{name}.input_proj_linear", second * max(1, features), width, False),
    )


def _block(name: str, width: int, size: int, kernel: int) -> tuple[Module, ...]:
    attention, convolution = f"{name}.attention", f"{name}.lconv1d"
    return (
        *_feed_forward(f"{name}.ffw_layer_start", width),
        norm(f"{attention}.pre_attn_norm", width),
        vector(f"{attention}.attn.per_dim_scale", size),
        plain(f"{attention}.attn.relative_position_embedding.pos_proj", width, width, False),
        *(plain(f"{attention}.attn.{key}_proj", width, width, False) for key in "qkv"),
        plain(f"{attention}.post", width, width, False),
        norm(f"{attention}.post_norm", width),
        norm(f"{convolution}.pre_layer_norm", width),
        plain(f"{convolution}.linear_start", width, 2 * width, False),
        plain(f"{convolution}.depthwise_conv1d", kernel, width, False),
        norm(f"{convolution}.conv_norm", width),
        plain(f"{convolution}.linear_end", width, width, False),
        *_feed_forward(f"{name}.ffw_layer_end", width),
        norm(f"{name}.norm", width),
    )


def _feed_forward(name: str, width: int) -> tuple[Module, ...]:
    return (
        norm(f"{name}.pre_layer_norm", width),
        plain(f"{name}.ffw_layer_1", width, _FEED_FORWARD * width, False),
        plain(f"{name}.ffw_layer_2", _FEED_FORWARD * width, width, False),
        norm(f"{name}.post_layer_norm", width),
    )


FAMILY: Family = Family(
    "gemma3n",
    ("Gemma3nForConditionalGeneration",),
    _describe,
    # gemma3n_mm.py, hf_to_vllm_mapper.
    (
        *moved("model.language_model.", "language_model.model."),
        ("model.language_model.", "language_model.model."),
        ("model.embed_audio.", "embed_audio."),
        ("model.embed_vision.", "embed_vision."),
        ("model.vision_tower.", "vision_tower."),
        ("model.audio_tower.", "audio_tower."),
        ("lm_head.", "language_model.lm_head."),
    ),
)
