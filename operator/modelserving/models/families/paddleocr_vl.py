"""PaddleOCR-VL: a SigLIP of any resolution, a projector and ERNIE 4.5 (vLLM 0.32: models/paddleocr_vl.py, ernie45.py)."""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model
from modelserving.models.families.siglip import siglip_layer
from modelserving.models.families.towers import Vit, join, kept, part, plain, read_vit, table, tower
from modelserving.models.fields import Fields

# transformers PaddleOCRVisionConfig, PaddleOCRTextConfig.
_VISION = Vit(1152, 4304, 27, 16, 384, 14)
_TEXT = {
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 18,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "vocab_size": 103424,
    "max_position_embeddings": 131072,
}
# 2,822,400 pixels of 28 x 28 a token (PaddleOCRVLImageProcessor, max_pixels).
_LARGEST_ITEM = 3600


def _describe(config: Fields) -> Description:
    inner = config.part("text_config")
    # A flat config gives its own flag to the outer class only; the inner one's default ties.
    tied = config.flag("tie_word_embeddings", True) or inner is None or inner.flag("tie_word_embeddings", True)
    text = language_model((inner or config).or_else(_TEXT), tied, "LlamaForCausalLM")
    vision = config.required_part("vision_config")
    vit = read_vit(vision, _VISION)
    merge = vision.whole("spatial_merge_size", 2, high=64) ** 2
    joined = vit.hidden_size * merge
    projector = part(
        norm("mlp_AR.pre_norm", vit.hidden_size, True),
        plain("mlp_AR.linear_1", joined, joined),
        plain("mlp_AR.linear_2", joined, text.hidden_size),
    )
    return join(text, (*_vit(vit), projector), tower(vit, vit.num_patches // merge, ("image",), _LARGEST_ITEM))


def _vit(vit: Vit) -> tuple[Section, ...]:
    root, width = "visual.vision_model", vit.hidden_size
    front = (
        plain(f"{root}.embeddings.patch_embedding", vit.pixels, width),
        table(f"{root}.embeddings.position_embedding", vit.num_patches, width),
        norm(f"{root}.post_layernorm", width, True),
    )
    half = max(1, width // vit.num_heads // 4)
    buffers = (
        table(f"{root}.embeddings.position_ids", 1, vit.num_patches, "int64"),
        table(f"{root}.encoder.rotary_pos_emb.inv_freq", 1, half, "float32"),
    )
    layer = siglip_layer(f"{root}.encoder.layers.*", width, vit.intermediate_size, vit.num_heads)
    return (part(*front), kept(*buffers), part(*layer, repeats=vit.num_layers))


FAMILY: Family = Family(
    "paddleocr_vl",
    ("PaddleOCRVLForConditionalGeneration",),
    _describe,
    # paddleocr_vl.py, hf_to_vllm_mapper.
    (("model.", "language_model.model."), ("lm_head.", "language_model.lm_head.")),
)
