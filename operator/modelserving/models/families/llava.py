"""LLaVA 1.5 and NeXT: a CLIP tower cut at its feature layer, a projector and a decoder (models/llava.py, llava_next.py)."""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, Stage, VisionTower
from modelserving.models.families import llama, mistral, qwen2
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, qkv, row
from modelserving.models.fields import Fields, InvalidFieldError, show

_LARGEST_WIDTH = 2**16
_DECODERS: dict[str, DenseDecoder] = {"llama": llama.DECODER, "mistral": mistral.DECODER, "qwen2": qwen2.DECODER}
# transformers fills in LlamaConfig's sizes where text_config leaves them out, as LLaVA 1.5 does.
_TEXT_DEFAULTS = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}
# Tiles of the largest image: `anyres` has up to four and the whole (LlavaNextConfig.image_grid_pinpoints).
_NEXT_TILES = 5
# transformers CLIPVisionConfig.
_CLIP = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}


def _text(config: Fields) -> Description:
    text = config.part("text_config") or Fields({}, "text_config")
    kind = text.text("model_type", "llama")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise InvalidFieldError(f"text_config.model_type is {show(kind)}; LLaVA is known with {', '.join(_DECODERS)}")
    return describe_dense(text, replace(decoder, defaults={**_TEXT_DEFAULTS, **decoder.defaults}), "language_model.")


def _describe(config: Fields, is_next: bool) -> Description:
    text = _text(config)
    vision = config.part("vision_config") or Fields({}, "vision_config")
    if (kind := vision.text("model_type", "clip_vision_model")) != "clip_vision_model":
        raise InvalidFieldError(f"vision_config.model_type is {show(kind)}; LLaVA is known with clip_vision_model")
    width = vision.whole("hidden_size", _CLIP["hidden_size"], high=_LARGEST_WIDTH)
    inner = vision.whole("intermediate_size", _CLIP["intermediate_size"], high=_LARGEST_WIDTH)
    heads = vision.whole("num_attention_heads", _CLIP["num_attention_heads"], high=width)
    if width % heads:
        raise vision.fail("num_attention_heads", f"a divisor of hidden_size ({width})")
    stored = vision.whole("num_hidden_layers", _CLIP["num_hidden_layers"], high=512)
    layer = config.wholes("vision_feature_layer", -2, low=-512, high=511)
    used = max(number + 1 if number >= 0 else stored + number + 1 for number in layer)
    if not 1 <= used <= stored:
        raise vision.fail("num_hidden_layers", f"enough for vision_feature_layer {list(layer)}")
    image = vision.whole("image_size", 224, high=_LARGEST_WIDTH)
    patch = vision.whole("patch_size", 32, high=image)
    patches = (image // patch) ** 2
    biased = config.flag("multimodal_projector_bias", True)
    newline = Section(Stage.EVERY, (Module("image_newline", Split.REPLICATED, 1, (text.hidden_size,)),), tower=True)
    projector = (
        column("multi_modal_projector.linear_1", width, text.hidden_size, biased),
        row("multi_modal_projector.linear_2", text.hidden_size, text.hidden_size, biased),
    )
    parts = (
        *_clip(width, inner, heads, used, patches, 3 * patch**2),
        *((newline,) if is_next else ()),
        Section(Stage.EVERY, projector, tower=True),
    )
    tiles = _NEXT_TILES if is_next else 1
    tower = VisionTower(width, inner, used, heads, patches + 1, patches, tiles * patches)
    return replace(text, sections=(*parts, *text.sections), vision=tower)


def _clip(width: int, inner: int, heads: int, layers: int, patches: int, pixels: int) -> tuple[Section, ...]:
    root = "vision_tower.vision_model"
    name, size = f"{root}.encoder.layers.*", width // heads
    front = (
        Module(f"{root}.embeddings.class_embedding", Split.REPLICATED, 1, (width,)),
        Module(f"{root}.embeddings.patch_embedding", Split.REPLICATED, pixels, (width,)),
        Module(f"{root}.embeddings.position_embedding", Split.REPLICATED, width, (patches + 1,)),
        norm(f"{root}.pre_layrnorm", width, True),
    )
    positions = Module(f"{root}.position_ids", Split.REPLICATED, 1, (patches + 1,), fixed_dtype="int64")
    layer = (
        qkv(f"{name}.self_attn.qkv_proj", width, (heads, heads), (size, size), True),
        row(f"{name}.self_attn.out_proj", width, width, True),
        norm(f"{name}.layer_norm1", width, True),
        column(f"{name}.mlp.fc1", width, inner, True),
        row(f"{name}.mlp.fc2", inner, width, True),
        norm(f"{name}.layer_norm2", width, True),
    )
    return (
        Section(Stage.EVERY, front, tower=True),
        Section(Stage.EVERY, (positions,), tower=True, buffers=True),
        Section(Stage.EVERY, layer, repeats=layers, tower=True),
    )


_PREFIXES = (
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
    ("model.image_newline", "image_newline"),
    ("lm_head.", "language_model.lm_head."),
)
_UNUSED = ("vision_tower.vision_model.post_layernorm.",)
LLAVA = Family(
    "llava", ("LlavaForConditionalGeneration",), lambda config: _describe(config, False), _PREFIXES, unused=_UNUSED
)
LLAVA_NEXT = Family(
    "llava_next",
    ("LlavaNextForConditionalGeneration",),
    lambda config: _describe(config, True),
    _PREFIXES,
    unused=_UNUSED,
)
