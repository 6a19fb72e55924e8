"""Models that hear: an encoder of Whisper's kind, a projector and a decoder.

Source: vLLM 0.32 model_executor/models/qwen2_audio.py, ultravox.py, voxtral.py, qwen3_asr.py, qwen3_omni_moe_thinker.py. The
encoders of Qwen 2 are transformers' own, whole on every rank.
"""

from dataclasses import dataclass

from modelserving.models.facts import Section, VisionTower
from modelserving.models.families.decoder import MOST_HEADS
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, replicated, row
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
    MOST_LAYERS,
    attention,
    join,
    kept,
    mlp,
    part,
    plain,
    table,
)
from modelserving.models.families.whisper import encoder_sections
from modelserving.models.fields import Fields

AUDIO = ("audio",)
_CONV_WIDTH = 3
_NEWER_KEYS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
# Qwen 3's front: three convolutions of stride 2 over frequency and time (qwen3_omni_moe_thinker.py).
_STRIDES = 3


@dataclass(frozen=True, slots=True)
class Ear:
    """Sizes of an audio encoder of Whisper's kind; positions is how many frames it takes."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    mel_bins: int
    positions: int


def read_ear(config: Fields, keys: tuple[str, str, str, str] | None = None) -> Ear:
    """Read an audio_config; defaults: transformers Qwen2AudioEncoderConfig.

    Args:
        config: the part of config.json.
        keys: names of width, MLP, layers and heads, where they are not Whisper's.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    width, inner, layers, heads = keys or ("d_model", "encoder_ffn_dim", "encoder_layers", "encoder_attention_heads")
    ear = Ear(
        config.whole(width, 1280, high=LARGEST_WIDTH),
        config.whole(inner, 5120, high=LARGEST_WIDTH),
        config.whole(layers, 32, high=MOST_LAYERS),
        config.whole(heads, 20, high=MOST_HEADS),
        config.whole("num_mel_bins", 128, high=LARGEST_WIDTH),
        config.whole("max_source_positions", 1500, high=2**20),
    )
    if ear.hidden_size % ear.num_heads:
        raise config.fail(heads, f"a divisor of {width} ({ear.hidden_size})")
    return ear


def ear_facts(ear: Ear, shrink: int, modalities: tuple[str, ...] = AUDIO) -> VisionTower:
    """Facts that the encoder's memory is computed from; shrink is how many frames become a token."""
    tokens = max(1, ear.positions // shrink)
    return VisionTower(
        ear.hidden_size,
        ear.intermediate_size,
        ear.num_layers,
        ear.num_heads,
        ear.positions,
        tokens,
        tokens,
        modalities,
    )


def whole_encoder(ear: Ear, root: str, last: str) -> tuple[Section, ...]:
    """Transformers' encoder, whole on every rank, without its positions.

    Args:
        ear: sizes.
        root: name of the encoder.
        last: name of the norm after the layers.
    """
    width, name = ear.hidden_size, f"{root}.layers.*"
    layer = (
        plain(f"{name}.self_attn.k_proj", width, width, False),
        *(plain(f"{name}.self_attn.{key}_proj", width, width) for key in ("v", "q", "out")),
        norm(f"{name}.self_attn_layer_norm", width, True),
        plain(f"{name}.fc1", width, ear.intermediate_size),
        plain(f"{name}.fc2", ear.intermediate_size, width),
        norm(f"{name}.final_layer_norm", width, True),
    )
    front = (
        plain(f"{root}.conv1", ear.mel_bins * _CONV_WIDTH, width),
        plain(f"{root}.conv2", width * _CONV_WIDTH, width),
        norm(f"{root}.{last}", width, True),
    )
    return (part(*front, modalities=AUDIO), part(*layer, repeats=ear.num_layers, modalities=AUDIO))


def conv_encoder(config: Fields, out: int, root: str = "audio_tower") -> tuple[Ear, tuple[Section, ...]]:
    """Qwen 3's encoder: three convolutions, cut layers and a projection of two linears.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    ear = read_ear(config)
    width, inner, name = ear.hidden_size, ear.intermediate_size, f"{root}.layers.*"
    channels = config.whole("downsample_hidden_size", 480, high=LARGEST_WIDTH)
    out = config.whole("output_dim", out, high=LARGEST_WIDTH)
    frequencies = ear.mel_bins
    for _ in range(_STRIDES):
        frequencies = (frequencies + 1) // 2
    square = _CONV_WIDTH**2
    front = (
        plain(f"{root}.conv2d1", square, channels),
        plain(f"{root}.conv2d2", channels * square, channels),
        plain(f"{root}.conv2d3", channels * square, channels),
        replicated(f"{root}.conv_out", channels * frequencies, width, quantizable=False),
        norm(f"{root}.ln_post", width, True),
        plain(f"{root}.proj1", width, width),
        plain(f"{root}.proj2", width, out),
    )
    layer = (
        *attention(f"{name}.self_attn", width, ear.num_heads, quantizable=False),
        norm(f"{name}.self_attn_layer_norm", width, True),
        *mlp(name, width, inner, quantizable=False),
        norm(f"{name}.final_layer_norm", width, True),
    )
    positions = table(f"{root}.positional_embedding.positional_embedding", ear.positions, width, "float32")
    return ear, (
        part(*front, modalities=AUDIO),
        # Layers stay whole where heads do not divide.
        part(*layer, repeats=ear.num_layers, shard_heads=ear.num_heads, modalities=AUDIO),
        kept(positions, modalities=AUDIO),
    )


def _qwen2_audio(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), model_type="qwen2")
    ear = read_ear(config.required_part("audio_config"))
    parts = (
        *whole_encoder(ear, "audio_tower", "layer_norm"),
        part(table("audio_tower.embed_positions", ear.positions, ear.hidden_size)),
        part(plain("multi_modal_projector.linear", ear.hidden_size, text.hidden_size)),
    )
    return join(text, parts, ear_facts(ear, 2))


def _audio_flamingo(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), model_type="qwen2")
    ear = read_ear(config.required_part("audio_config"), _NEWER_KEYS)
    parts = (
        *whole_encoder(ear, "audio_tower", "layer_norm"),
        part(table("audio_tower.embed_positions", ear.positions, ear.hidden_size)),
        part(
            plain("multi_modal_projector.linear_1", ear.hidden_size, text.hidden_size),
            plain("multi_modal_projector.linear_2", text.hidden_size, text.hidden_size),
        ),
    )
    return join(text, parts, ear_facts(ear, 2))


def _cut_encoder(ear: Ear, root: str) -> tuple[Section, ...]:
    return encoder_sections(
        root, ear.hidden_size, ear.mel_bins, ear.num_layers, ear.num_heads, ear.intermediate_size, ear.positions
    )


def _ultravox(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"))
    ear = read_ear(config.required_part("audio_config"))
    stacked = config.whole("stack_factor", 8, high=1024)
    inner = config.whole("hidden_size", 4096, high=LARGEST_WIDTH)
    half = inner // 2 if config.text("projector_act", "swiglu") == "swiglu" else inner
    middle = config.flag("projector_ln_mid")
    name, joined = "multi_modal_projector", ear.hidden_size * stacked
    projector = part(
        norm(f"{name}.ln_pre", joined),
        replicated(f"{name}.linear_1", joined, inner),
        replicated(f"{name}.linear_2", half, text.hidden_size),
        norm(f"{name}.ln_mid", half) if middle else norm(f"{name}.ln_post", text.hidden_size),
    )
    return join(text, (*_cut_encoder(ear, "audio_tower"), projector), ear_facts(ear, 2 * stacked))


def _voxtral(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"))
    audio = config.required_part("audio_config")
    ear = read_ear(audio, _NEWER_KEYS)
    shrink = audio.whole("downsample_factor", 4, high=1024)
    name, width = "audio_language_adapter", text.hidden_size
    adapter = part(
        column(f"{name}.w_in", ear.hidden_size * shrink, width, quantizable=False),
        row(f"{name}.w_out", width, width, quantizable=False),
    )
    return join(text, (*_cut_encoder(ear, "whisper_encoder.whisper_encoder"), adapter), ear_facts(ear, shrink))


def _qwen3_asr(config: Fields) -> Description:
    thinker = config.required_part("thinker_config")
    text = language_model(thinker.required_part("text_config"), None, "Qwen3ForCausalLM")
    ear, parts = conv_encoder(thinker.required_part("audio_config"), text.hidden_size)
    return join(text, parts, ear_facts(ear, 8))


QWEN2_AUDIO: Family = Family("qwen2_audio", ("Qwen2AudioForConditionalGeneration",), _qwen2_audio)
AUDIO_FLAMINGO: Family = Family(
    "audioflamingo3",
    ("AudioFlamingo3ForConditionalGeneration",),
    _audio_flamingo,
)
ULTRAVOX: Family = Family("ultravox", ("UltravoxModel",), _ultravox)
VOXTRAL: Family = Family("voxtral", ("VoxtralForConditionalGeneration",), _voxtral)
QWEN3_ASR: Family = Family(
    "qwen3_asr",
    ("Qwen3ASRForConditionalGeneration", "Qwen3ASRRealtimeGeneration"),
    _qwen3_asr,
    # qwen3_asr.py, hf_to_vllm_mapper.
    (
        ("thinker.lm_head.", "language_model.lm_head."),
        ("thinker.model.", "language_model.model."),
        ("thinker.", ""),
    ),
)
