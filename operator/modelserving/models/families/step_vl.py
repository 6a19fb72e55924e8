"""Step3-VL of 10B: a perception encoder, two convolutions and any language model (vLLM 0.32: models/step_vl.py)."""

from dataclasses import replace

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm
from modelserving.models.families.nested import language_model
from modelserving.models.families.step3_vl import LARGEST_ITEM
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
    MOST_LAYERS,
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
from modelserving.models.fields import Fields

_KERNEL = 3**2
# Patches that become one token: both convolutions have a stride of two.
_MERGE = 16


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), model_type="qwen3")
    vision = config.required_part("vision_config")
    vit = _read(vision)
    out = column("vit_large_projector", 4 * vit.hidden_size, text.hidden_size, config.flag("projector_bias", True))
    tokens = vit.num_patches // _MERGE
    facts = tower(vit, tokens, largest=LARGEST_ITEM, data_parallel=True)
    return join(text, (*_encoder(vision, vit), part(out)), facts)


def _read(vision: Fields) -> Vit:
    width = vision.whole("width", high=LARGEST_WIDTH)
    heads = vision.whole("heads", high=width)
    if width % heads:
        raise vision.fail("heads", f"a divisor of width ({width})")
    image = vision.whole("image_size", high=2**16)
    # step_vl.py cuts off what is left, as `int` does.
    inner = int(width * vision.number("mlp_ratio", 4.0, 0.01, 64.0))
    layers = vision.whole("layers", high=MOST_LAYERS)
    return Vit(width, max(1, inner), layers, heads, image, vision.whole("patch_size", high=image))


def _encoder(vision: Fields, vit: Vit) -> tuple[Section, ...]:
    root, width = "vision_model", vit.hidden_size
    name, size = f"{root}.transformer.resblocks.*", width // vit.num_heads
    first = 1 if vision.flag("use_cls_token") else 0
    scaled = vision.raw("ls_init_value") is not None
    front = (
        plain(f"{root}.conv1", vit.pixels, width, False),
        *((norm(f"{root}.ln_pre", width, True),) if vision.flag("use_ln_pre", True) else ()),
        *((norm(f"{root}.ln_post", width, True),) if vision.flag("use_ln_post", True) else ()),
        *((vector(f"{root}.class_embedding", width),) if first else ()),
        *((table(f"{root}.positional_embedding", first + vit.num_patches, width),) if _positions(vision) else ()),
        plain(f"{root}.vit_downsampler1", width * _KERNEL, 2 * width),
        plain(f"{root}.vit_downsampler2", 2 * width * _KERNEL, 4 * width),
    )
    layer = (
        *attention(f"{name}.attn", width, vit.num_heads, parts=("qkv_proj",)),
        *(vector(f"{name}.ls_{index}.gamma", width) for index in (1, 2) if scaled),
        norm(f"{name}.ln_1", width, True),
        norm(f"{name}.ln_2", width, True),
        *mlp(f"{name}.mlp", width, vit.intermediate_size),
    )
    # Every layer has a cache of its own.
    rope = kept(table(f"{name}.attn.rope.freqs_cache", first + vit.num_patches, size, "float32"))
    return (part(*front), part(*layer, repeats=vit.num_layers), replace(rope, repeats=vit.num_layers))


def _positions(vision: Fields) -> bool:
    return vision.flag("use_abs_posemb", True)


FAMILY: Family = Family(
    "step_vl",
    ("StepVLForConditionalGeneration",),
    _describe,
    # step_vl.py, hf_to_vllm_mapper.
    (("model.", "language_model.model."), ("lm_head.", "language_model.lm_head.")),
    (
        (".attn.in_proj_weight", ".attn.qkv_proj.weight"),
        (".attn.in_proj_bias", ".attn.qkv_proj.bias"),
        (".mlp.c_fc", ".mlp.fc1"),
        (".mlp.c_proj", ".mlp.fc2"),
    ),
)
