"""Nemotron Nano VL V2: C-RADIO, an MLP and Nemotron-H (vLLM 0.32: model_executor/models/nano_nemotron_vl.py, radio.py)."""

from collections.abc import Mapping
from dataclasses import replace

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
    Vit,
    attention,
    join,
    kept,
    mlp,
    part,
    plain,
    table,
    tower,
    vector,
)
from modelserving.models.fields import Fields, InvalidFieldError, show

# (width, layers, heads, MLP) by the tower's kind (vLLM transformers_utils/configs/radio.py, VIT_TIMM_DIM_BY_NAME).
_KINDS: Mapping[str, tuple[int, int, int, int]] = {
    "vit_small_patch16_224": (384, 12, 6, 1536),
    "vit_base_patch16_224": (768, 12, 12, 3072),
    "vit_large_patch16_224": (1024, 24, 16, 4096),
    "vit_huge_patch16_224": (1280, 32, 16, 5120),
}
# Tiles of the largest image, the whole one besides (max_num_tiles of the published processor).
_TILES = 13
_ROOT = "vision_model.model"


def _describe(config: Fields) -> Description:
    if config.raw("sound_config") is not None:
        raise InvalidFieldError("sound_config is set; Nemotron Nano VL is known with images and videos only")
    inner = config.part("llm_config") or config.required_part("text_config")
    text = language_model(inner, model_type="nemotron_h")
    vision = config.required_part("vision_config")
    if vision.whole("video_temporal_patch_size", 1, high=64) > 1:
        raise vision.fail("video_temporal_patch_size", "1: frames of videos are known one by one only")
    vit = _read(vision)
    shuffled = max(1, round(1 / config.number("downsample_ratio", 0.5, 0.01, 1.0)))
    joined = config.whole("vit_hidden_size", vit.hidden_size, high=LARGEST_WIDTH) * shuffled**2
    wide = config.whole("projector_hidden_size", high=LARGEST_WIDTH)
    projector = part(
        norm("mlp1.0", joined),
        plain("mlp1.1", joined, wide, False),
        plain("mlp1.3", wide, text.hidden_size, False),
    )
    side = config.whole("force_image_size", 512, high=2**14) // vit.patch_size
    tokens = side**2 // shuffled**2
    facts = tower(replace(vit, image_size=side * vit.patch_size), tokens, ("image", "video"), _TILES * tokens)
    return join(text, (*_radio(vision, vit), projector), facts)


def _read(vision: Fields) -> Vit:
    kind = vision.required_part("args").text("model")
    if kind not in _KINDS:
        raise InvalidFieldError(f"{vision.name('args.model')} is {show(kind)}; vLLM knows {', '.join(_KINDS)}")
    width, layers, heads, inner = _KINDS[kind]
    sides = vision.wholes("preferred_resolution", 224, low=1, high=2**14)
    return Vit(width, inner, layers, heads, sides[0], vision.whole("patch_size", 16, high=sides[0]))


def _radio(vision: Fields, vit: Vit) -> tuple[Section, ...]:
    args = vision.required_part("args")
    width, name = vit.hidden_size, f"{_ROOT}.encoder.layers.*"
    largest = args.whole("cpe_max_size", 2048, low=vit.patch_size, high=2**14)
    rows = round(largest / vit.patch_size) ** 2
    teachers = _teachers(args)
    marks = max(1, len({each.text("name") for each in teachers})) if args.flag("cls_token_per_teacher") else 1
    multiple = args.optional_whole("register_multiple")
    registers = multiple - marks % multiple if multiple else 0
    front = (
        plain(f"{_ROOT}.patch_generator.embedder", vit.pixels, width, False),
        table(f"{_ROOT}.patch_generator.pos_embed", rows, width),
        table(f"{_ROOT}.patch_generator.cls_token.token", marks + registers, width),
    )
    layer = (
        *mlp(f"{name}.mlp", width, vit.intermediate_size, quantizable=False),
        norm(f"{name}.norm1", width, True),
        norm(f"{name}.norm2", width, True),
    )
    # Attention stays whole where its heads do not divide. No checkpoint stores the scales of its layers.
    attended = attention(f"{name}.attn", width, vit.num_heads, "qkv", "proj", ("qkv",), quantizable=False)
    scales = (vector(f"{name}.ls1", width), vector(f"{name}.ls2", width))
    told = sum(each.flag("use_summary", True) for each in teachers)
    return (
        part(*front),
        *((kept(table("vision_model.summary_idxs", 1, told, "int64")),) if told else ()),
        part(*attended, repeats=vit.num_layers, shard_heads=vit.num_heads),
        part(*layer, repeats=vit.num_layers),
        replace(kept(*scales), repeats=vit.num_layers),
    )


def _teachers(args: Fields) -> tuple[Fields, ...]:
    """Towers that it learned from."""
    listed = args.raw("teachers")
    if listed is None:
        return ()
    if not isinstance(listed, list) or len(listed) > 64 or not all(isinstance(each, Mapping) for each in listed):
        raise args.fail("teachers", "a list of objects")
    return tuple(Fields(each, "teachers") for each in listed)


FAMILY: Family = Family(
    "nemotron_nano_vl",
    ("NemotronH_Nano_VL_V2",),
    _describe,
    (
        ("language_model.backbone.embeddings.", "language_model.model.embed_tokens."),
        ("language_model.backbone.", "language_model.model."),
        ("vision_model.radio_model.model.blocks.", f"{_ROOT}.encoder.layers."),
        ("vision_model.radio_model.", "vision_model."),
    ),
    ((".A_log", ".A"),),
    ("vision_model.input_conditioner.", "language_model.mtp."),
)
