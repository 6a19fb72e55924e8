"""dots.ocr: a gated tower of any resolution, Qwen 2's merger and Qwen 2 (vLLM 0.32: model_executor/models/dots_ocr.py)."""

from dataclasses import replace

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, merged, norm, row
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import Vit, attention, join, kept, part, plain, read_vit, table, tower
from modelserving.models.fields import Fields

# vLLM transformers_utils/configs/dotsocr.py, DotsVisionConfig; an image has no size of its own there.
_VISION = Vit(1536, 4224, 42, 12, 224, 14)
# 11,289,600 pixels of 28 x 28 a token (preprocessor_config.json of the published checkpoint, max_pixels).
_LARGEST_ITEM = 14400


def _describe(config: Fields) -> Description:
    text = language_model(config, None, "Qwen2ForCausalLM")
    vision = config.required_part("vision_config")
    out = vision.whole("hidden_size", _VISION.hidden_size, high=2**16)
    vit = read_vit(vision.having(hidden_size=vision.raw("embed_dim")), _VISION)
    merge = vision.whole("spatial_merge_size", 2, high=64) ** 2
    joined = vit.hidden_size * merge
    name = "vision_tower.merger"
    merger = part(
        norm(f"{name}.ln_q", vit.hidden_size, True),
        column(f"{name}.mlp.0", joined, joined, True, quantizable=False),
        row(f"{name}.mlp.2", joined, out, True, quantizable=False),
    )
    # An image is one pass, of as many patches as it has.
    facts = replace(
        tower(vit, _LARGEST_ITEM, data_parallel=True),
        patches_per_image=_LARGEST_ITEM * merge,
    )
    return join(text, (*_vit(vision, vit), merger), facts)


def _vit(vision: Fields, vit: Vit) -> tuple[Section, ...]:
    root, width, biased = "vision_tower", vit.hidden_size, vision.flag("use_bias")
    name = f"{root}.blocks.*"
    layer = (
        *attention(f"{name}.attn", width, vit.num_heads, "qkv", "proj", ("qkv",), biased),
        norm(f"{name}.norm1", width),
        merged(f"{name}.mlp.fc13", width, (vit.intermediate_size,) * 2, ("fc1", "fc3"), biased),
        row(f"{name}.mlp.fc2", vit.intermediate_size, width, biased),
        norm(f"{name}.norm2", width),
    )
    last = (norm(f"{root}.post_trunk_norm", width),) if vision.flag("post_norm", True) else ()
    quarter = max(1, width // vit.num_heads // 4)
    return (
        part(
            plain(f"{root}.patch_embed.patchifier.proj", vit.pixels, width),
            norm(f"{root}.patch_embed.patchifier.norm", width),
        ),
        kept(table(f"{root}.rotary_pos_emb.inv_freq", 1, quarter, "float32")),
        part(*layer, repeats=vit.num_layers),
        *((part(*last),) if last else ()),
    )


FAMILY: Family = Family(
    "dots_ocr",
    ("DotsOCRForCausalLM",),
    _describe,
    # dots_ocr.py, hf_to_vllm_mapper.
    (("lm_head.", "language_model.lm_head."), ("model.", "language_model.model.")),
    ((".attn.qkv_proj.", ".attn.qkv."), (".attn.out_proj.", ".attn.proj.")),
)
