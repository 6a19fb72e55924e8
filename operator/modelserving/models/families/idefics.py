"""Idefics 3 and SmolVLM: a SigLIP of any resolution, pixel shuffle and Llama.

Source: vLLM 0.32 model_executor/models/idefics3.py, smolvlm.py, idefics2_vision_model.py.
"""

from modelserving.models.facts import Section
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm, replicated
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import Vit, attention, join, mlp, part, plain, read_vit, table, tower
from modelserving.models.fields import Fields

# transformers Idefics3VisionConfig; SmolVLMVisionConfig differs by image_size 512, which published configs state.
DEFAULTS = Vit(1152, 3072, 12, 16, 224, 32)
# Tiles of the largest image: a 4 x 4 grid and the whole (Idefics3ImageProcessor, size over max_image_size).
_TILES = 17
_SHUFFLE = 2


def vit_sections(vit: Vit, root: str, layers: int | None = None, post_norm: bool = True) -> tuple[Section, ...]:
    """The tower of idefics2_vision_model.py, which other models use as well."""
    width, name = vit.hidden_size, f"{root}.encoder.layers.*"
    layer = (
        *attention(f"{name}.self_attn", width, vit.num_heads),
        norm(f"{name}.layer_norm1", width, True),
        *mlp(f"{name}.mlp", width, vit.intermediate_size),
        norm(f"{name}.layer_norm2", width, True),
    )
    return (
        part(
            plain(f"{root}.embeddings.patch_embedding", vit.pixels, width),
            table(f"{root}.embeddings.position_embedding", vit.num_patches, width),
        ),
        part(*layer, repeats=vit.num_layers if layers is None else layers),
        *((part(norm(f"{root}.post_layernorm", width, True)),) if post_norm else ()),
    )


def _describe(config: Fields) -> Description:
    names = (("model.", "model.text_model."),)
    text = language_model(
        config.required_part("text_config"), ties(config, False), "LlamaForCausalLM", "llama", names=names
    )
    vit = read_vit(config.required_part("vision_config"), DEFAULTS)
    shuffle = config.whole("scale_factor", _SHUFFLE, high=64) ** 2
    projector = part(
        replicated("model.connector.modality_projection.proj", vit.hidden_size * shuffle, text.hidden_size)
    )
    tokens = vit.num_patches // shuffle
    parts = (*vit_sections(vit, "model.vision_model"), projector)
    return join(text, parts, tower(vit, tokens, ("image",), _TILES * tokens))


FAMILY: Family = Family(
    name="idefics3",
    architectures=("Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"),
    describe=_describe,
)
