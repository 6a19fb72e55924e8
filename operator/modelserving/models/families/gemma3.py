"""Gemma 3: five windows to one full layer, two rope caches, norms of queries and keys, tied embeddings; SigLIP with images.

Source: vLLM 0.32 model_executor/models/gemma3.py, gemma3_mm.py.
"""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, Stage
from modelserving.models.families.decoder import read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.gemma2 import NORMALIZER, NORMS
from modelserving.models.families.layers import norm, replicated, rope_cache
from modelserving.models.families.nested import renamed
from modelserving.models.families.pooling import headless, looks_both_ways
from modelserving.models.families.siglip import read_siglip, tower_only, vision_tower
from modelserving.models.fields import Fields

# Defaults: transformers Gemma3TextConfig.
_DECODER = DenseDecoder(
    defaults={
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
        "vocab_size": 262208,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    qk_norm="head",
    sliding_pattern=6,
    norms=NORMS,
    tied=True,
)
# Prompt tokens that an image becomes (Gemma3Config.mm_tokens_per_image).
_IMAGE_TOKENS = 256
_PREFIX = "language_model."


def _text(config: Fields, prefix: str = "") -> Description:
    shape = read_shape(config, _DECODER.defaults)
    # The windows' layers have an unscaled rope of their own.
    positions = config.whole("max_position_embeddings", _DECODER.defaults["max_position_embeddings"])
    local = rope_cache(positions, shape.head_size)
    described = describe_dense(config, _DECODER, prefix, buffers=(local, NORMALIZER))
    # config/model.py, `_get_and_verify_max_len`: its positions are counted with the scaling.
    return replace(described, max_model_len=positions)


def _multimodal(config: Fields) -> Description:
    text = _text(config.required_part("text_config"), _PREFIX)
    vision = config.required_part("vision_config")
    siglip = read_siglip(vision, (-1,))
    projector = (
        norm("multi_modal_projector.mm_soft_emb_norm", siglip.hidden_size),
        replicated(
            "multi_modal_projector.mm_input_projection_weight", siglip.hidden_size, text.hidden_size, quantizable=False
        ),
    )
    tokens = config.whole("mm_tokens_per_image", _IMAGE_TOKENS, high=2**20)
    tower = replace(vision_tower(siglip, 1, ("image",)), tokens_per_image=tokens, max_tokens_per_item=tokens)
    post = Module("vision_tower.vision_model.post_layernorm", Split.REPLICATED, 1, (siglip.hidden_size,), bias=True)
    parts = (
        *tower_only(siglip),
        Section(Stage.EVERY, (post,), tower=True),
        Section(Stage.EVERY, projector, tower=True),
    )
    return replace(text, sections=(*parts, *text.sections), vision=tower)


def _embedding(config: Fields) -> Description:
    """EmbeddingGemma: the decoder alone, which looks both ways where config.json says so (gemma3.py, Gemma3Model)."""
    described = renamed(headless(_text(config)), (("model.", ""),))
    described = replace(described, whole_prompt=True)
    return looks_both_ways(described) if config.flag("use_bidirectional_attention") else described


EMBEDDING: Family = Family("gemma3_embedding", ("Gemma3TextModel",), _embedding)
TEXT: Family = Family("gemma3_text", ("Gemma3ForCausalLM",), _text)
MULTIMODAL: Family = Family(
    "gemma3",
    ("Gemma3ForConditionalGeneration",),
    _multimodal,
    # gemma3_mm.py, hf_to_vllm_mapper.
    (
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("lm_head.", "language_model.lm_head."),
    ),
)
