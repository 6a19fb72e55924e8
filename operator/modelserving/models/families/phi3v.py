"""Phi 3 and 3.5 Vision: CLIP L at 336 pixels, a projector of four patches and Phi 3 as Llama.

Source: vLLM 0.32 model_executor/models/phi3v.py, clip.py. Its own copy of the embedding is left out here: no published
checkpoint stores one, and its `load_weights` puts the language model's in its place then.
"""

from modelserving.models.families.family import Description, Family
from modelserving.models.families.llava import clip_sections
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import LARGEST_WIDTH, Vit, feature_layers, join, part, plain, tower, vector
from modelserving.models.fields import Fields

# phi3v.py, CLIP_VIT_LARGE_PATCH14_336_CONFIG: the tower, whatever config.json says.
_CLIP = Vit(1024, 4096, 24, 16, 336, 14)
# Patches that become one token (phi3v.py, reshape_hd_patches_2x2merge).
_MERGE = 4
# Tokens of an image of 16 tiles in one column and the whole, with an end to every row (num_crops of the published processor).
_LARGEST_ITEM = 2653
_ROOT = "vision_embed_tokens"


def _describe(config: Fields) -> Description:
    # vLLM builds it as Llama; the checkpoint joins its projections as Phi 3 does.
    text = language_model(config, None, "Phi3ForCausalLM")
    processor = config.required_part("img_processor")
    layers = feature_layers(processor.renamed({"vision_feature_layer": "layer_idx"}), _CLIP, -2)
    joined = _MERGE * processor.whole("image_dim_out", _CLIP.hidden_size, high=LARGEST_WIDTH)
    projector = part(
        vector(f"{_ROOT}.glb_GN", joined),
        vector(f"{_ROOT}.sub_GN", joined),
        plain(f"{_ROOT}.img_projection.0", joined, text.hidden_size),
        plain(f"{_ROOT}.img_projection.2", text.hidden_size, text.hidden_size),
    )
    clip = clip_sections(_CLIP, layers, f"{_ROOT}.img_processor.vision_model")
    tokens = _CLIP.num_patches // _MERGE
    return join(text, (*clip, projector), tower(_CLIP, tokens, largest=_LARGEST_ITEM))


FAMILY: Family = Family(
    "phi3_v",
    ("Phi3VForCausalLM",),
    _describe,
    # phi3v.py, hf_to_vllm_mapper.
    (
        ("model.vision_embed_tokens.", f"{_ROOT}."),
        ("lm_head.", "language_model.lm_head."),
        ("model.", "language_model.model."),
    ),
    unused=(f"{_ROOT}.img_processor.vision_model.post_layernorm.", f"{_ROOT}.wte."),
)
