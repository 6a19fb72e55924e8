"""Qwen with vision: Qwen 2 VL, 2.5 VL, 3 VL and 3 VL MoE.

Source: vLLM 0.32 model_executor/models/qwen2_vl.py, qwen2_5_vl.py, qwen3_vl.py, qwen3_vl_moe.py.
"""

from dataclasses import replace

from modelserving.models.families import qwen2, qwen3, qwen_moe
from modelserving.models.families.dense import describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.qwen_vit import QwenVit, read_sizes, sections, tower
from modelserving.models.fields import Fields

# Defaults: transformers' vision configs. The largest image by default: 12,845,056 pixels, 28 x 28 a token (Qwen 2 and 2.5);
# 16,777,216 pixels, 32 x 32 a token (Qwen 3).
_QWEN2_VIT = QwenVit(1280, 5120, 32, 16, 14, 2, 3, 2, 3584, gated=False, rms=False)
QWEN25_VIT = QwenVit(1280, 3420, 32, 16, 14, 2, 3, 2, 3584, gated=True, rms=True)
QWEN3_VIT = QwenVit(
    1152,
    4304,
    27,
    16,
    16,
    2,
    3,
    2,
    3584,
    gated=False,
    rms=False,
    patch_bias=True,
    positions=2304,
    deepstack=3,
    newer=True,
)
# qwen3_vl.py, mrope_positions_factor: 1 unless video tokens are pruned.
_QWEN3_DECODER = replace(qwen3.DECODER, mrope_stretch=1)
_QWEN3_MOE_DECODER = replace(qwen_moe.QWEN3_DECODER, mrope_stretch=1)
_PREFIX = "language_model."
# qwen2_vl.py, hf_to_vllm_mapper; qwen3_vl.py has the same.
_PREFIXES = (
    ("model.language_model.", "language_model.model."),
    ("model.visual.", "visual."),
    ("lm_head.", "language_model.lm_head."),
    ("model.", "language_model.model."),
)
_MLP_RATIO = 4


def join(text: Description, vit: QwenVit) -> Description:
    """Put tower and language model together."""
    return replace(text, sections=(*sections(vit), *text.sections), vision=tower(vit))


def _text(config: Fields) -> Fields:
    """The language model's part: older checkpoints have its keys at the top; either may say that embeddings are tied."""
    text = config.part("text_config") or config
    return text.having(tie_word_embeddings=config.flag("tie_word_embeddings") or text.flag("tie_word_embeddings"))


def _qwen2(config: Fields) -> Description:
    text = describe_dense(_text(config), qwen2.DECODER, _PREFIX)
    vision = config.required_part("vision_config")
    hidden = vision.whole("embed_dim", _QWEN2_VIT.hidden_size, high=2**16)
    heads = vision.whole("num_heads", _QWEN2_VIT.num_heads, high=hidden)
    if hidden % heads:
        raise vision.fail("num_heads", f"a divisor of embed_dim ({hidden})")
    ratio = vision.number("mlp_ratio", _MLP_RATIO, 0.01, 64.0)
    vit = replace(
        _QWEN2_VIT,
        hidden_size=hidden,
        intermediate_size=int(hidden * ratio),
        num_layers=vision.whole("depth", _QWEN2_VIT.num_layers, high=512),
        num_heads=heads,
        patch_size=vision.whole("patch_size", _QWEN2_VIT.patch_size, high=1024),
        out_size=vision.whole("hidden_size", text.hidden_size, high=2**16),
    )
    return join(text, vit)


def _qwen25(config: Fields) -> Description:
    text = describe_dense(_text(config), qwen2.DECODER, _PREFIX)
    return join(text, read_sizes(config.required_part("vision_config"), QWEN25_VIT, text.hidden_size))


def _qwen3(config: Fields) -> Description:
    text = describe_dense(_text(config), _QWEN3_DECODER, _PREFIX)
    return join(text, read_sizes(config.required_part("vision_config"), QWEN3_VIT, text.hidden_size))


def _qwen3_moe(config: Fields) -> Description:
    text = qwen_moe.describe_mixture(_text(config), _QWEN3_MOE_DECODER, qwen_moe.QWEN3, 0, _PREFIX)
    return join(text, read_sizes(config.required_part("vision_config"), QWEN3_VIT, text.hidden_size))


QWEN2_VL = Family("qwen2_vl", ("Qwen2VLForConditionalGeneration",), _qwen2, _PREFIXES)
QWEN25_VL = Family("qwen2_5_vl", ("Qwen2_5_VLForConditionalGeneration",), _qwen25, _PREFIXES)
QWEN3_VL = Family("qwen3_vl", ("Qwen3VLForConditionalGeneration",), _qwen3, _PREFIXES)
QWEN3_VL_MOE = Family("qwen3_vl_moe", ("Qwen3VLMoeForConditionalGeneration",), _qwen3_moe, _PREFIXES)
