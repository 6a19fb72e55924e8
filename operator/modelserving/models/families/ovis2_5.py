"""Ovis 2.5 and 2.6: a SigLIP 2 of any resolution, a head that picks visual words, a table of those and Qwen 3.

Source: vLLM 0.32 model_executor/models/ovis2_5.py, siglip2navit.py.
"""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm, replicated
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import (
    Vit,
    attention,
    join,
    kept,
    mlp,
    part,
    plain,
    read_vit,
    table,
    tower,
)
from modelserving.models.fields import Fields, InvalidFieldError, show

# vit_config of the published checkpoints, whose config class brings the defaults.
_VISION = Vit(1152, 4304, 27, 16, 512, 16)
# Words of the table that mark an image instead of a part of it (ovis2_5.py, INDICATOR_IDS).
_MARKS = 4
# 1792 x 1792 pixels of 32 x 32 a token (ovis2_5.py, get_image_size_with_most_features).
_LARGEST_ITEM = 3136
_MODALITIES = ("image", "video")


def _describe(config: Fields) -> Description:
    inner = config.part("llm_config") or config.required_part("text_config")
    text = language_model(inner, prefix="llm.", model_type="qwen3")
    vision = config.required_part("vit_config")
    if (kind := vision.text("model_type", "siglip2_navit")) != "siglip2_navit":
        raise InvalidFieldError(
            f"{vision.name('model_type')} is {show(kind)}; Ovis 2.5 is known with siglip2_navit only"
        )
    vit = read_vit(vision, _VISION)
    words = config.whole("visual_vocab_size", 65536, low=_MARKS + 1, high=2**24)
    stride = vision.whole("hidden_stride", 2, high=64) ** 2
    head = part(
        replicated("visual_tokenizer.head.0", vit.hidden_size * stride, words - _MARKS, quantizable=False),
        norm("visual_tokenizer.head.1", words - _MARKS, True),
    )
    parts = (*_vit(vision, vit), head, part(table("vte", words, text.hidden_size)))
    return join(text, parts, tower(vit, vit.num_patches // stride, _MODALITIES, _LARGEST_ITEM))


def _vit(vision: Fields, vit: Vit) -> tuple[Section, ...]:
    root, width = "visual_tokenizer.vit.vision_model", vit.hidden_size
    name = f"{root}.encoder.layers.*"
    # -1 stands for the patches of image_size.
    counted = vision.whole("num_patches", -1, low=-1, high=2**20)
    positions = counted if counted > 0 else vit.num_patches
    tables = (table(f"{root}.embeddings.position_embedding", positions, width),)
    layer = (
        norm(f"{name}.layer_norm1", width, True),
        *attention(f"{name}.self_attn", width, vit.num_heads),
        norm(f"{name}.layer_norm2", width, True),
        *mlp(f"{name}.mlp", width, vit.intermediate_size),
    )
    quarter = max(1, width // vit.num_heads // 4)
    return (
        part(
            plain(f"{root}.embeddings.patch_embedding", vit.pixels, width),
            *(tables if vision.flag("preserve_original_pe", True) else ()),
            norm(f"{root}.post_layernorm", width, True),
        ),
        kept(table(f"{root}.encoder.rotary_pos_emb.inv_freq", 1, quarter, "float32")),
        part(*layer, repeats=vit.num_layers),
    )


FAMILY: Family = Family("ovis2_5", ("Ovis2_5", "Ovis2_6ForCausalLM", "Ovis2_6_MoeForCausalLM"), _describe)
