"""Qwen 2.5 and 3 Omni: the thinker, with ears and eyes; vLLM loads neither talker nor vocoder.

Source: vLLM 0.32 model_executor/models/qwen2_5_omni_thinker.py, qwen3_omni_moe_thinker.py.
"""

from dataclasses import replace

from modelserving.models.facts import Section
from modelserving.models.families.audio import AUDIO, conv_encoder, read_ear, whole_encoder
from modelserving.models.families.family import Description, Family
from modelserving.models.families.nested import language_model
from modelserving.models.families.qwen_vit import MODALITIES, QwenVit, read_sizes, sections, tower
from modelserving.models.families.qwen_vl import QWEN3_VIT, QWEN25_VIT
from modelserving.models.families.towers import kept, part, plain, table
from modelserving.models.fields import Fields

_MOE_VIT = replace(QWEN3_VIT, older_merger=True)
# Embeddings of where a sound begins and ends.
_MARKS = 2


def _with_towers(text: Description, parts: tuple[Section, ...], vit: QwenVit) -> Description:
    """Eyes take more memory than ears, so the tower's facts are theirs."""
    facts = replace(tower(vit), modalities=(*MODALITIES, *AUDIO), data_parallel=False)
    return replace(text, sections=(*parts, *text.sections), vision=facts)


def _qwen25(config: Fields) -> Description:
    thinker = config.part("thinker_config") or config
    # Qwen2_5OmniTextConfig ties unless told otherwise, and the outer config says nothing.
    inner = thinker.required_part("text_config").or_else({"tie_word_embeddings": True})
    text = language_model(inner, None, "Qwen2ForCausalLM", "qwen2")
    audio = thinker.required_part("audio_config")
    ear = read_ear(audio)
    width, out = ear.hidden_size, audio.whole("output_dim", text.hidden_size, high=2**16)
    vit = read_sizes(thinker.required_part("vision_config"), QWEN25_VIT, text.hidden_size)
    positions = table("audio_tower.positional_embedding.positional_embedding", ear.positions, width, "float32")
    front = (table("audio_tower.audio_bos_eos_token", _MARKS, out), plain("audio_tower.proj", width, out))
    parts = (
        *whole_encoder(ear, "audio_tower", "ln_post"),
        part(*front, modalities=AUDIO),
        kept(positions, modalities=AUDIO),
        *sections(vit, modalities=MODALITIES),
    )
    return _with_towers(text, parts, vit)


def _qwen3(config: Fields) -> Description:
    thinker = config.part("thinker_config") or config
    text = language_model(thinker.required_part("text_config"), None, "Qwen3MoeForCausalLM", "qwen3_moe")
    _, ears = conv_encoder(thinker.required_part("audio_config"), text.hidden_size)
    vit = read_sizes(thinker.required_part("vision_config"), _MOE_VIT, text.hidden_size)
    return _with_towers(text, (*ears, *sections(vit, modalities=MODALITIES)), vit)


# hf_to_vllm_mapper of both.
_PREFIXES = (
    ("thinker.lm_head.", "language_model.lm_head."),
    ("thinker.model.", "language_model.model."),
    ("thinker.", ""),
)
_UNUSED = ("talker.", "token2wav.", "code2wav.", "code_predictor.")
QWEN25_OMNI: Family = Family(
    "qwen2_5_omni", ("Qwen2_5OmniModel", "Qwen2_5OmniForConditionalGeneration"), _qwen25, _PREFIXES, unused=_UNUSED
)
QWEN3_OMNI: Family = Family("qwen3_omni", ("Qwen3OmniMoeForConditionalGeneration",), _qwen3, _PREFIXES, unused=_UNUSED)
