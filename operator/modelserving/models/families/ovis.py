"""Ovis 2: AIMv2, a head that picks visual words, a table of those and any language model.

Source: vLLM 0.32 model_executor/models/ovis.py, aimv2.py.
"""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import merged, norm, replicated, row
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import Vit, attention, join, part, plain, read_vit, table, tower
from modelserving.models.fields import Fields, InvalidFieldError, show

# transformers Aimv2VisionConfig.
_DEFAULTS = Vit(1024, 2816, 24, 8, 224, 14)
# Words of the table that mark an image instead of a part of it (ovis.py, IMAGE_INDICATOR_IDS).
_MARKS = 5
_TILES = 10


def _describe(config: Fields) -> Description:
    inner = config.part("llm_config") or config.required_part("text_config")
    text = language_model(inner, prefix="llm.", model_type="qwen2")
    tokenizer = config.required_part("visual_tokenizer_config")
    backbone = tokenizer.required_part("backbone_config")
    if (kind := backbone.text("model_type", "aimv2")) != "aimv2":
        raise InvalidFieldError(f"{backbone.name('model_type')} is {show(kind)}; Ovis is known with aimv2 only")
    vit = read_vit(backbone, _DEFAULTS)
    words = tokenizer.whole("vocab_size", 65536, low=_MARKS + 1, high=2**24)
    stride = tokenizer.whole("hidden_stride", 1, high=64) ** 2
    head = part(
        replicated("visual_tokenizer.head.0", vit.hidden_size * stride, words - _MARKS, quantizable=False),
        norm("visual_tokenizer.head.1", words - _MARKS, True),
    )
    parts = (*_vit(backbone, vit), head, part(table("vte", words, text.hidden_size)))
    tokens = vit.num_patches // stride
    return join(text, parts, tower(vit, tokens, ("image",), _TILES * tokens))


def _vit(backbone: Fields, vit: Vit) -> tuple[Section, ...]:
    root, width = "visual_tokenizer.backbone", vit.hidden_size
    name, biased = f"{root}.trunk.blocks.*", backbone.flag("use_bias")
    both = merged(f"{name}.mlp.fc13", width, (vit.intermediate_size,) * 2, ("fc1", "fc3"), biased)
    layer = (
        *attention(f"{name}.attn", width, vit.num_heads, "qkv", "proj", ("qkv",), backbone.flag("qkv_bias"), biased),
        norm(f"{name}.norm_1", width),
        both,
        row(f"{name}.mlp.fc2", vit.intermediate_size, width, biased),
        norm(f"{name}.norm_2", width),
    )
    front = (
        table(f"{root}.preprocessor.pos_embed", vit.num_patches, width),
        plain(f"{root}.preprocessor.patchifier.proj", vit.pixels, width),
        norm(f"{root}.preprocessor.patchifier.norm", width),
    )
    return (part(*front), part(*layer, repeats=vit.num_layers))


FAMILY: Family = Family("ovis", ("Ovis",), _describe)
