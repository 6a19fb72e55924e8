"""BLIP-2: a tower, a query transformer and any decoder (vLLM 0.32: model_executor/models/blip2.py, blip.py)."""

from modelserving.models.facts import Section, Stage
from modelserving.models.families import qformer
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import Vit, attention, join, mlp, part, plain, read_vit, table, tower, vector
from modelserving.models.fields import Fields

# transformers Blip2VisionConfig.
_DEFAULTS = Vit(1408, 6144, 39, 16, 224, 14)


def _describe(config: Fields) -> Description:
    text = language_model(config.part("text_config") or Fields({}, "text_config"), model_type="opt")
    vit = read_vit(config.part("vision_config") or Fields({}, "vision_config"), _DEFAULTS)
    between = qformer.read_qformer(config.part("qformer_config") or Fields({}, "qformer_config"))
    queries = config.whole("num_query_tokens", 32, high=2**16)
    parts = (
        # No part of the tower: it stays where images are not allowed.
        Section(Stage.EVERY, (table("query_tokens", queries, between.hidden_size),)),
        *_vit(vit),
        *qformer.sections(between, "qformer"),
        part(plain("language_projection", between.hidden_size, text.hidden_size)),
    )
    return join(text, parts, tower(vit, queries))


def _vit(vit: Vit) -> tuple[Section, ...]:
    root, width = "vision_model", vit.hidden_size
    name = f"{root}.encoder.layers.*"
    return (
        part(
            vector(f"{root}.embeddings.class_embedding", width),
            table(f"{root}.embeddings.position_embedding", vit.num_patches + 1, width),
            plain(f"{root}.embeddings.patch_embedding", vit.pixels, width),
        ),
        part(
            *attention(f"{name}.self_attn", width, vit.num_heads, "qkv", "projection", ("qkv",)),
            norm(f"{name}.layer_norm1", width, True),
            *mlp(f"{name}.mlp", width, vit.intermediate_size),
            norm(f"{name}.layer_norm2", width, True),
            repeats=vit.num_layers,
        ),
        part(norm(f"{root}.post_layernorm", width, True)),
    )


FAMILY: Family = Family("blip2", ("Blip2ForConditionalGeneration",), _describe)
