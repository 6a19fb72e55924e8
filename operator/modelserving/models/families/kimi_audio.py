"""Kimi-Audio: Whisper large v3's encoder, an adaptor and Qwen 2 (vLLM 0.32: model_executor/models/kimi_audio.py)."""

from dataclasses import replace

from modelserving.models.families.audio import AUDIO, Ear, ear_facts
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import LARGEST_WIDTH, join, part, plain
from modelserving.models.families.whisper import encoder_sections
from modelserving.models.fields import Fields

# whisper-large-v3, whose config lies in a folder of that name beside config.json (kimi_audio.py, KIMIA_WHISPER_SUBFOLDER).
_WHISPER = Ear(1280, 5120, 32, 20, 128, 1500)
# Frames that the adaptor joins (kimi_audio.py, KimiAudioMultiModalProjector).
_JOINED = 4
_ASSUMED = "the encoder of sounds is taken for Whisper large v3, as the folder is called that holds its config"


def _describe(config: Fields) -> Description:
    text = language_model(config, None, "Qwen2ForCausalLM")
    name, width = "multi_modal_projector", text.hidden_size
    joined = config.whole("kimia_adaptor_input_dim", _JOINED * _WHISPER.hidden_size, high=LARGEST_WIDTH)
    projector = part(
        plain(f"{name}.vq_adaptor_layers_0", joined, width),
        plain(f"{name}.vq_adaptor_layers_3", width, width),
        norm(f"{name}.vq_adaptor_layers_4", width, True),
    )
    sizes = _WHISPER
    encoder = encoder_sections(
        "audio_tower",
        sizes.hidden_size,
        sizes.mel_bins,
        sizes.num_layers,
        sizes.num_heads,
        sizes.intermediate_size,
        sizes.positions,
    )
    described = join(text, (*encoder, projector), ear_facts(sizes, _JOINED, AUDIO))
    return replace(described, assumptions=(*text.assumptions, _ASSUMED))


FAMILY: Family = Family(
    "kimi_audio",
    ("MoonshotKimiaForCausalLM",),
    _describe,
    # kimi_audio.py, hf_to_vllm_mapper.
    (
        ("model.encoder.", "audio_tower."),
        ("model.vq_adaptor.layers.0.", "multi_modal_projector.vq_adaptor_layers_0."),
        ("model.vq_adaptor.layers.3.", "multi_modal_projector.vq_adaptor_layers_3."),
        ("model.vq_adaptor.layers.4.", "multi_modal_projector.vq_adaptor_layers_4."),
        ("model.layers.", "language_model.model.layers."),
        ("model.embed_tokens.", "language_model.model.embed_tokens."),
        ("model.norm.", "language_model.model.norm."),
        ("lm_head.", "language_model.lm_head."),
    ),
    unused=("model.", "mimo_layers.", "mimo_output.", "mimo_norm."),
)
