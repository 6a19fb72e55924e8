"""Granite 4 Vision: SigLIP, a query transformer for each level of features and Granite (vLLM 0.32: models/granite4_vision.py)."""

from dataclasses import replace

from modelserving.models.facts import Section
from modelserving.models.families import qformer, siglip
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import join, part, plain, table, vector
from modelserving.models.fields import Fields

# granite4_vision.py, WindowQFormerDownsampler and the four offsets of spatial_projectors.
_INNER = 3072
_OFFSETS = 4
_MOST_LEVELS = 64
_LARGEST_SIDE = 1024
# Tiles of the largest image, the whole one besides (image_grid_pinpoints of the published checkpoint).
_TILES = 11


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), ties(config, True), "GraniteForCausalLM", "granite")
    vit = siglip.read_siglip(config.required_part("vision_config"), (-1,))
    queries, window = _rate(config)
    levels = config.raw("deepstack_layer_map")
    if not isinstance(levels, list) or not 0 < len(levels) <= _MOST_LEVELS:
        raise config.fail("deepstack_layer_map", f"a list of up to {_MOST_LEVELS} pairs of layers")
    # Each by its own number, so that headers find its layers.
    names = (
        *(f"layerwise_projectors.{index}" for index in range(len(levels))),
        *(f"spatial_projectors.{index}" for index in range(_OFFSETS)),
    )
    projectors = (
        each for name in names for each in _projector(name, vit.hidden_size, text.hidden_size, queries, window)
    )
    parts = (*siglip.tower_only(vit), part(vector("image_newline", text.hidden_size)), *projectors)
    facts = siglip.vision_tower(vit, 1, ("image",))
    tokens = max(1, vit.num_patches * queries**2 // window**2)
    return join(text, parts, replace(facts, tokens_per_image=tokens, max_tokens_per_item=_TILES * tokens))


def _rate(config: Fields) -> tuple[int, int]:
    """Sides of a window's queries and of the window itself: `downsample_rate` is a text such as 4/8."""
    pieces = config.text("downsample_rate", "4/8").split("/")
    if len(pieces) == 2 and all(piece.isascii() and piece.isdigit() and len(piece) < 5 for piece in pieces):
        queries, window = int(pieces[0]), int(pieces[1])
        if 0 < queries <= _LARGEST_SIDE and 0 < window <= _LARGEST_SIDE:
            return queries, window
    raise config.fail("downsample_rate", "a fraction such as 4/8")


def _projector(name: str, width: int, out: int, queries: int, window: int) -> tuple[Section, ...]:
    sizes = qformer.Qformer(width, _INNER, 1, 1, width)
    return (
        part(
            table(f"{name}.query", queries**2, width),
            table(f"{name}.image_positions", window**2, width),
            norm(f"{name}.norm", width, True),
            plain(f"{name}.out_linear", width, out),
        ),
        *qformer.sections(sizes, f"{name}.qformer"),
    )


FAMILY: Family = Family(
    "granite4_vision",
    ("Granite4VisionForConditionalGeneration",),
    _describe,
    # granite4_vision.py, hf_to_vllm_mapper.
    (
        ("model.language_model.", "language_model.model."),
        ("model.layerwise_projectors.", "layerwise_projectors."),
        ("model.spatial_projectors.", "spatial_projectors."),
        ("model.image_newline", "image_newline"),
        ("model.vision_tower.", "vision_tower."),
        ("lm_head.", "language_model.lm_head."),
    ),
    unused=("vision_tower.vision_model.post_layernorm.", "vision_tower.vision_model.head."),
)
