"""Kimi VL: MoonViT, a projector and DeepSeek V3's decoder (vLLM 0.32: model_executor/models/kimi_vl.py, moonvit.py)."""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import Vit, attention, join, mlp, part, plain, read_vit, table, tower
from modelserving.models.fields import Fields

# vLLM 0.32 transformers_utils/configs/moonvit.py; the largest image is as many patches as the position table has.
_DEFAULTS = Vit(1152, 4304, 27, 16, 64, 1)
_PATCH = 14


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), None, "DeepseekV2ForCausalLM")
    vision = config.required_part("vision_config")
    vit = read_vit(vision.having(image_size=None, patch_size=None), _DEFAULTS)
    patch = vision.whole("patch_size", _PATCH, high=1024)
    rows = vision.whole("init_pos_emb_height", 64, high=4096) * vision.whole("init_pos_emb_width", 64, high=4096)
    sides = vision.wholes("merge_kernel_size", 2, low=1, high=64)
    merge = sides[0] * sides[-1]
    joined, name = vit.hidden_size * merge, "multi_modal_projector"
    projector = part(
        norm(f"{name}.pre_norm", vit.hidden_size, True),
        plain(f"{name}.linear_1", joined, joined),
        plain(f"{name}.linear_2", joined, text.hidden_size),
    )
    parts = (*_vit(vit, patch, rows), projector)
    return join(text, parts, tower(vit, rows // merge, data_parallel=True))


def _vit(vit: Vit, patch: int, rows: int) -> tuple[Section, ...]:
    root, width = "vision_tower", vit.hidden_size
    name = f"{root}.encoder.blocks.*"
    return (
        part(
            plain(f"{root}.patch_embed.proj", vit.num_channels * patch**2, width),
            table(f"{root}.patch_embed.pos_emb", rows, width),
        ),
        part(
            norm(f"{name}.norm0", width, True),
            norm(f"{name}.norm1", width, True),
            *mlp(f"{name}.mlp", width, vit.intermediate_size, ("fc0", "fc1"), quantizable=False),
            *attention(name, width, vit.num_heads, "wqkv", "wo", ("wqkv",), quantizable=False),
            repeats=vit.num_layers,
        ),
        part(norm(f"{root}.encoder.final_layernorm", width, True)),
    )


FAMILY: Family = Family("kimi_vl", ("KimiVLForConditionalGeneration",), _describe)
