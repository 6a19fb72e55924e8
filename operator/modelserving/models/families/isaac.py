"""Isaac: a SigLIP 2 of any resolution, pixel shuffle and Qwen 3 (vLLM 0.32: model_executor/models/isaac.py)."""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, row
from modelserving.models.families.nested import language_model
from modelserving.models.families.siglip import siglip_layer
from modelserving.models.families.towers import Vit, join, part, plain, read_vit, table, tower
from modelserving.models.fields import Fields

# transformers Siglip2VisionConfig; vLLM transformers_utils/configs/isaac.py.
_VISION = Vit(768, 3072, 12, 12, 224, 16)
_PATCHES = 256
# Times that the projector is wider than its input (isaac.py, IsaacVisionEmbedding).
_WIDER = 4


def _describe(config: Fields) -> Description:
    inner = config.part("text_config") or config
    size = inner.whole("head_dim", 128, high=4096)
    # isaac.py makes the rope multimodal, whatever config.json says of it.
    scaling = dict.fromkeys(("rope_parameters", "rope_scaling")) | {
        "rope_scaling": {"rope_type": "default", "mrope_section": [size // 4, size // 8, size // 8]}
    }
    text = language_model(inner.having(**scaling), None, "Qwen3ForCausalLM")
    vision = config.part("vision_config") or Fields({}, "vision_config")
    vit = read_vit(vision, _VISION)
    patches = vision.whole("num_patches", _PATCHES, high=2**20)
    shuffled = vision.whole("pixel_shuffle_scale_factor", 1, high=64) ** 2
    joined = vit.hidden_size * shuffled
    name = "vision_embedding"
    projector = part(
        column(f"{name}.linear_fc1", joined, _WIDER * joined),
        row(f"{name}.linear_fc2", _WIDER * joined, text.hidden_size),
    )
    most = config.whole("vision_max_num_patches", _PATCHES, high=2**20)
    facts = tower(vit, most // shuffled, data_parallel=True)
    return join(text, (*_vit(vit, patches), projector), facts)


def _vit(vit: Vit, patches: int) -> tuple[Section, ...]:
    root, width = "vision_embedding.transformer", vit.hidden_size
    front = (
        plain(f"{root}.embeddings.patch_embedding", vit.pixels, width),
        table(f"{root}.embeddings.position_embedding", patches, width),
        norm(f"{root}.post_layernorm", width, True),
    )
    layer = siglip_layer(f"{root}.encoder.layers.*", width, vit.intermediate_size, vit.num_heads)
    return (part(*front), part(*layer, repeats=vit.num_layers))


FAMILY: Family = Family(
    "isaac",
    ("IsaacForConditionalGeneration",),
    _describe,
    # isaac.py, hf_to_vllm_mapper.
    (
        ("lm_head.", "language_model.lm_head."),
        ("model.text_model.lm_head.", "language_model.lm_head."),
        ("model.text_model.", "language_model.model."),
        ("model.vision_embedding.0", "vision_embedding.transformer"),
        ("model.vision_embedding.1", "vision_embedding.linear_fc1"),
        ("model.vision_embedding.3", "vision_embedding.linear_fc2"),
        ("model.vision_embedding.", "vision_embedding."),
        ("model.lm_head.", "language_model.lm_head."),
        ("model.", "language_model.model."),
    ),
)
