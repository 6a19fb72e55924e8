"""Keye VL: a SigLIP of any resolution, a projector of four patches and Qwen 3 (vLLM 0.32: models/keye.py, keye_vl1_5.py)."""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, row
from modelserving.models.families.nested import language_model
from modelserving.models.families.siglip import siglip_layer
from modelserving.models.families.towers import Vit, join, kept, part, plain, read_vit, table, tower
from modelserving.models.fields import Fields

# vision_config of the published checkpoints, whose config class brings the defaults.
_VISION = Vit(1152, 4304, 27, 16, 384, 14)
# Rows of its table for packed images (keye.py, packing_position_embedding).
_PACKED = 32768
# Patches that become one token (keye.py, merge_kernel_size).
_MERGE = 4
# 1,003,520 pixels of 28 x 28 a token (image_processing_keye.py of the published checkpoints, max_pixels by default).
_LARGEST_ITEM = 1280
_MODALITIES = ("image", "video")


def _describe(config: Fields, norms_joined: bool) -> Description:
    text = language_model(config, None, "Qwen3ForCausalLM")
    vit = read_vit(config.required_part("vision_config"), _VISION)
    joined = vit.hidden_size * _MERGE
    projector = part(
        norm("mlp_AR.pre_norm", joined if norms_joined else vit.hidden_size, True),
        column("mlp_AR.linear_1", joined, joined, True),
        row("mlp_AR.linear_2", joined, text.hidden_size, True),
    )
    facts = tower(vit, vit.num_patches // _MERGE, _MODALITIES, _LARGEST_ITEM)
    return join(text, (*_vit(vit), projector), facts)


def _vit(vit: Vit) -> tuple[Section, ...]:
    root, width = "visual.vision_model", vit.hidden_size
    front = (
        plain(f"{root}.embeddings.patch_embedding", vit.pixels, width),
        table(f"{root}.embeddings.position_embedding", vit.num_patches, width),
        table(f"{root}.embeddings.packing_position_embedding", _PACKED, width),
        norm(f"{root}.post_layernorm", width, True),
    )
    quarter = max(1, width // vit.num_heads // 4)
    buffers = (
        table(f"{root}.embeddings.position_ids", 1, vit.num_patches, "int64"),
        table(f"{root}.encoder.rotary_pos_emb.inv_freq", 1, quarter, "float32"),
    )
    layer = siglip_layer(f"{root}.encoder.layers.*", width, vit.intermediate_size, vit.num_heads)
    return (part(*front), kept(*buffers), part(*layer, repeats=vit.num_layers))


# keye.py, hf_to_vllm_mapper.
_PREFIXES = (("lm_head.", "language_model.lm_head."), ("model.", "language_model.model."))
_UNUSED = ("visual.vision_model.head.",)
KEYE: Family = Family(
    "keye", ("KeyeForConditionalGeneration",), lambda config: _describe(config, False), _PREFIXES, unused=_UNUSED
)
KEYE15: Family = Family(
    "keye_vl1_5",
    ("KeyeVL1_5ForConditionalGeneration",),
    lambda config: _describe(config, True),
    _PREFIXES,
    unused=_UNUSED,
)
