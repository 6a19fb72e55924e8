"""InternVL in transformers' format: InternViT, a projector and any language model (vLLM 0.32: models/interns1.py, interns1_vit.py).

Attention of the tower is torch's own, whole on every rank, as is the projector; only its MLP is cut.
"""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import Vit, join, mlp, part, plain, read_vit, table, tower, vector
from modelserving.models.fields import Fields

# transformers InternVLVisionConfig.
_DEFAULTS = Vit(1024, 4096, 24, 16, 448, 14)
# Tiles of the largest image, the whole one besides (`max_dynamic_patch` of the processor).
_TILES = 13
_MODALITIES = ("image", "video")


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), ties(config, True), model_type="qwen2")
    vision = config.required_part("vision_config")
    vit = read_vit(vision, _DEFAULTS)
    shuffled = max(1, round(1 / config.number("downsample_ratio", 0.5, 0.01, 1.0)))
    joined = vit.hidden_size * shuffled**2
    projector = part(
        norm("multi_modal_projector.layer_norm", joined, True),
        plain("multi_modal_projector.linear_1", joined, text.hidden_size),
        plain("multi_modal_projector.linear_2", text.hidden_size, text.hidden_size),
    )
    tokens = vit.num_patches // shuffled**2
    return join(text, (*_vit(vision, vit), projector), tower(vit, tokens, _MODALITIES, _TILES * tokens))


def _vit(vision: Fields, vit: Vit) -> tuple[Section, ...]:
    width = vit.hidden_size
    root, name = "vision_tower.embeddings", "vision_tower.encoder.layer.*"
    biased, normed = vision.flag("attention_bias"), vision.flag("use_qk_norm")
    norm_bias = vision.text("norm_type", "layer_norm") == "layer_norm"
    front = [
        vector(f"{root}.cls_token", width),
        table(f"{root}.position_embeddings", vit.num_patches + 1, width),
        plain(f"{root}.patch_embeddings.projection", vit.pixels, width),
    ]
    if not vision.flag("use_absolute_position_embeddings", True):
        front.pop(1)
    layer = (
        vector(f"{name}.lambda_1", width),
        vector(f"{name}.lambda_2", width),
        *(plain(f"{name}.attention.{key}_proj", width, width, biased) for key in "qkv"),
        *(norm(f"{name}.attention.{key}_norm", width) for key in ("q", "k") if normed),
        plain(f"{name}.attention.projection_layer", width, width),
        *mlp(f"{name}.mlp", width, vit.intermediate_size, quantizable=False),
        norm(f"{name}.layernorm_before", width, norm_bias),
        norm(f"{name}.layernorm_after", width, norm_bias),
    )
    last = () if vision.flag("use_mean_pooling", True) else (part(norm("vision_tower.layernorm", width, True)),)
    return (part(*front), part(*layer, repeats=vit.num_layers), *last)


FAMILY: Family = Family(
    name="internvl",
    architectures=("InternVLForConditionalGeneration", "InternS1ForConditionalGeneration"),
    describe=_describe,
    # interns1.py, hf_to_vllm_mapper.
    prefixes=(
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("lm_head.", "language_model.lm_head."),
    ),
)
