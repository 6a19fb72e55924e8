"""LLaVA-OneVision 2: a tower of any resolution, Qwen 2's merger and Qwen 3 (vLLM 0.32: models/llava_onevision2.py)."""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, row
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import Vit, attention, join, kept, mlp, part, plain, read_vit, table, tower
from modelserving.models.fields import Fields

# vision_config of the published checkpoint, whose config class brings the defaults.
_VISION = Vit(1024, 4096, 24, 16, 448, 14)
# Sixteenths of half a head that turn by time, height and width (llava_onevision2.py, 4:6:6).
_SHARES = {"t": 4, "h": 6, "w": 6}
# Qwen2VLImageProcessor's 12,845,056 pixels of 28 x 28 a token.
_LARGEST_ITEM = 16384
_MODALITIES = ("image", "video")


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), ties(config, False), "Qwen3ForCausalLM")
    vision = config.required_part("vision_config")
    vit = read_vit(vision, _VISION)
    merge = vision.whole("spatial_merge_size", 2, high=64) ** 2
    joined, name = vit.hidden_size * merge, "visual.merger"
    merger = part(
        norm(f"{name}.ln_q", vit.hidden_size, True),
        column(f"{name}.mlp.0", joined, joined, True, quantizable=False),
        row(f"{name}.mlp.2", joined, text.hidden_size, True, quantizable=False),
    )
    facts = tower(vit, vit.num_patches // merge, _MODALITIES, _LARGEST_ITEM)
    return join(text, (*_vit(vit), merger), facts)


def _vit(vit: Vit) -> tuple[Section, ...]:
    root, width = "visual", vit.hidden_size
    name, unit = f"{root}.encoder.layers.*", max(1, width // vit.num_heads // 32)
    layer = (
        norm(f"{name}.layer_norm1", width, True),
        norm(f"{name}.layer_norm2", width, True),
        *attention(f"{name}.self_attn", width, vit.num_heads, "qkv", "proj", ("qkv",), quantizable=False),
        *mlp(f"{name}.mlp", width, vit.intermediate_size, quantizable=False),
    )
    frequencies = (
        table(f"{root}.rotary_pos_emb.inv_freq_{key}", 1, share * unit, "float32") for key, share in _SHARES.items()
    )
    return (
        part(
            plain(f"{root}.embeddings.patch_embedding", vit.pixels, width, False),
            norm(f"{root}.layernorm_pre", width, True),
        ),
        kept(*frequencies),
        part(*layer, repeats=vit.num_layers),
    )


FAMILY: Family = Family(
    "llava_onevision2",
    ("LlavaOnevision2ForConditionalGeneration",),
    _describe,
    # llava_onevision2.py, hf_to_vllm_mapper.
    (
        ("model.language_model.", "language_model.model."),
        ("model.visual.", "visual."),
        ("lm_head.", "language_model.lm_head."),
        ("model.", "language_model.model."),
    ),
)
