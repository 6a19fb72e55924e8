"""GLM-4V of 2024: EVA2-CLIP, a convolution, a gated projector and ChatGLM (vLLM 0.32: model_executor/models/glm4v.py)."""

from modelserving.models.facts import Module, Section
from modelserving.models.families import renamed
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import merged, norm, replicated, row
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
    Vit,
    attention,
    join,
    mlp,
    part,
    plain,
    read_vit,
    table,
    tower,
    vector,
)
from modelserving.models.fields import Fields

# vision_config of the published checkpoint; vLLM has no defaults.
_VISION = Vit(1792, 15360, 63, 16, 1120, 14)
_POSITIONS = 6401
# Patches that its convolution joins.
_MERGE = 4
_ROOT = "transformer.vision"


def _describe(config: Fields) -> Description:
    text = renamed.CHATGLM.describe(config)
    vision = config.required_part("vision_config").renamed(
        {"num_attention_heads": "num_heads", "num_channels": "in_channels"}
    )
    vit = read_vit(vision, _VISION)
    inner = config.whole("ffn_hidden_size", 13696, high=LARGEST_WIDTH)
    tokens = vit.num_patches // _MERGE
    parts = (*_vit(vision, vit), part(*_projector(vit, text.hidden_size, inner)))
    # Two tokens more mark its beginning and its end.
    return join(text, parts, tower(vit, tokens + 2))


def _vit(vision: Fields, vit: Vit) -> tuple[Section, ...]:
    width, name = vit.hidden_size, f"{_ROOT}.transformer.layers.*"
    positions = vision.whole("num_positions", _POSITIONS, high=2**20)
    layer = (
        norm(f"{name}.input_layernorm", width, True),
        *attention(f"{name}.attention", width, vit.num_heads, "query_key_value", "dense", ("query_key_value",)),
        *mlp(f"{name}.mlp", width, vit.intermediate_size),
        norm(f"{name}.post_attention_layernorm", width, True),
    )
    front = (
        vector(f"{_ROOT}.patch_embedding.cls_embedding", width),
        plain(f"{_ROOT}.patch_embedding.proj", vit.pixels, width),
        table(f"{_ROOT}.patch_embedding.position_embedding", positions, width),
    )
    return (part(*front), part(*layer, repeats=vit.num_layers))


def _projector(vit: Vit, width: int, inner: int) -> tuple[Module, ...]:
    # ChatGLM's renames reach the two names that the projector shares with its MLP.
    name = f"{_ROOT}.linear_proj"
    return (
        plain(f"{_ROOT}.conv", vit.hidden_size * _MERGE, width),
        vector(f"{_ROOT}.boi", width),
        vector(f"{_ROOT}.eoi", width),
        replicated(f"{name}.linear_proj", width, width),
        norm(f"{name}.norm1", width, True),
        merged(f"{name}.merged_proj", width, (inner, inner), ("gate_proj", "gate_up_proj")),
        row(f"{name}.down_proj", inner, width),
    )


FAMILY: Family = Family(
    "glm4v_eva",
    ("GLM4VForCausalLM",),
    _describe,
    renamed.CHATGLM.prefixes,
    renamed.CHATGLM.renames,
    renamed.CHATGLM.unused,
)
