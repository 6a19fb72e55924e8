"""GLM-ASR: an encoder of sounds whose heads turn, a projector and Llama (vLLM 0.32: model_executor/models/glmasr.py)."""

from modelserving.models.facts import Section, VisionTower
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, qkv, row
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import LARGEST_WIDTH, MOST_LAYERS, join, kept, mlp, part, plain, table
from modelserving.models.fields import Fields

_MODALITIES = ("audio",)
_KERNEL = 3
# transformers GlmAsrConfig, _default_text_config_kwargs.
_TEXT = {
    "vocab_size": 59264,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "max_position_embeddings": 8192,
}
# Positions that become one token, and seconds of a pass and of the longest sound (glmasr_utils.py).
_MERGED, _PASS, _LONGEST = 4, 30, 655
# Share of a head that turns (glmasr.py, GlmAsrEncoderAttention).
_ROTATED = 0.5


def _describe(config: Fields) -> Description:
    inner = (config.part("text_config") or Fields({}, "text_config")).or_else(_TEXT)
    text = language_model(inner, ties(config, True), "LlamaForCausalLM")
    parts, facts = _encoder(config.part("audio_config") or Fields({}, "audio_config"))
    wide = 2 * text.hidden_size
    projector = part(
        column("multi_modal_projector.linear_1", facts.intermediate_size, wide, True),
        row("multi_modal_projector.linear_2", wide, text.hidden_size, True),
    )
    return join(text, (*parts, projector), facts)


def _encoder(audio: Fields) -> tuple[tuple[Section, ...], VisionTower]:
    # Defaults: transformers GlmAsrEncoderConfig.
    width = audio.whole("hidden_size", 1280, high=LARGEST_WIDTH)
    heads = audio.whole("num_attention_heads", 20, high=width)
    keys = audio.whole("num_key_value_heads", heads, high=heads)
    if width % heads or heads % keys:
        raise audio.fail("num_attention_heads", f"a divisor of hidden_size ({width}) and a multiple of the key heads")
    inner = audio.whole("intermediate_size", 5120, high=LARGEST_WIDTH)
    layers = audio.whole("num_hidden_layers", 32, high=MOST_LAYERS)
    bins = audio.whole("num_mel_bins", 128, high=4096)
    positions = audio.whole("max_position_embeddings", 1500, high=2**20)
    root, size = "audio_tower", width // heads
    name = f"{root}.layers.*"
    layer = (
        qkv(f"{name}.self_attn.qkv_proj", width, (heads, keys), (size, size), True),
        row(f"{name}.self_attn.o_proj", width, width, True),
        *mlp(f"{name}.mlp", width, inner),
        norm(f"{name}.input_layernorm", width, True),
        norm(f"{name}.post_attention_layernorm", width, True),
    )
    turned = max(1, int(size * audio.number("partial_rotary_factor", _ROTATED, 0.01, 1.0)) // 2)
    parts = (
        part(
            plain(f"{root}.conv1", bins * _KERNEL, width),
            plain(f"{root}.conv2", width * _KERNEL, width),
            norm(f"{root}.norm", width, True),
        ),
        kept(table(f"{root}.rotary_emb.inv_freq", 1, turned, "float32")),
        part(*layer, repeats=layers),
    )
    tokens = max(1, positions // _MERGED)
    longest = -(-tokens * _LONGEST // _PASS)
    return parts, VisionTower(width, inner, layers, heads, positions, tokens, longest, _MODALITIES)


FAMILY: Family = Family(
    "glm_asr", ("GlmAsrForConditionalGeneration",), _describe, unused=("audio_tower.embed_positions",)
)
