"""Molmo: CLIP L at 336 pixels, attention that pools four patches and a decoder of its own (vLLM 0.32: models/molmo.py)."""

from dataclasses import replace

from modelserving.models.facts import Module, Section, Split, Stage
from modelserving.models.families.decoder import LARGEST_VOCABULARY
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, merged, norm, row
from modelserving.models.families.towers import Vit, join, mlp, part, plain, table, tower, vector
from modelserving.models.fields import Fields

# molmo.py, VisionBackboneConfig: whatever config.json says of its tower; the layers that VIT_LAYERS names.
_CLIP = Vit(1024, 4096, 23, 16, 336, 14)
_LEVELS = 2
# Embeddings of tokens that the tokenizer adds (molmo.py, ADDITIONAL_VOCAB_SIZE).
_ADDED = 128
# Patches a side that are pooled (molmo.py, POOLING_SIZE).
_POOLED = 2
# Crops of the largest image, the whole one besides (max_crops of the published processor).
_TILES = 13
_ROOT = "vision_backbone"


def _describe(config: Fields) -> Description:
    inner = config.whole("intermediate_size", low=2, high=2**22) // 2
    decoder = DenseDecoder(
        defaults={"max_position_embeddings": 2048},
        qkv_bias="qkv_bias",
        qk_norm="all" if config.flag("attention_layer_norm") else "",
        head_dim_key=False,
        mlp="joined",
        qkv_parts=("qkv_proj",),
        tied=config.flag("weight_tying"),
    )
    text = describe_dense(config.having(intermediate_size=inner), decoder)
    rows = config.whole("embedding_size", text.vocab_size, high=LARGEST_VOCABULARY)
    text = with_added_rows(text, rows, _ADDED)
    side = -(-(_CLIP.image_size // _CLIP.patch_size) // _POOLED)
    parts = (*_clip(), part(*_projector(text.hidden_size, inner)))
    return join(text, parts, tower(_CLIP, side**2, largest=_TILES * side * (side + 1)))


def with_added_rows(text: Description, rows: int, added: int) -> Description:
    """The decoder with an embedding of more rows than its head, stored in two parts."""
    return replace(text, sections=tuple(_with_rows(section, (rows, added)) for section in text.sections))


def _with_rows(section: Section, rows: tuple[int, int]) -> Section:
    if section.stage is not Stage.FIRST:
        return section
    modules = tuple(
        replace(module, out_features=rows, sources=(f"{module.name}.embedding", f"{module.name}.new_embedding"))
        if module.split is Split.VOCAB
        else module
        for module in section.modules
    )
    return replace(section, modules=modules)


def _attention(name: str, inputs: int) -> tuple[Module, ...]:
    width = _CLIP.hidden_size
    return (
        *(column(f"{name}.{key}", inputs, width, True) for key in ("wq", "wk", "wv")),
        row(f"{name}.wo", width, width, True),
    )


def _clip() -> tuple[Section, ...]:
    root, width = f"{_ROOT}.image_vit", _CLIP.hidden_size
    name = f"{root}.transformer.resblocks.*"
    front = (
        vector(f"{root}.class_embedding", width),
        table(f"{root}.positional_embedding", _CLIP.num_patches + 1, width),
        plain(f"{root}.patch_embedding", _CLIP.pixels, width, False),
        norm(f"{root}.pre_ln", width, True),
    )
    layer = (
        *_attention(f"{name}.attention", width),
        *mlp(f"{name}.feed_forward", width, _CLIP.intermediate_size, ("w1", "w2")),
        norm(f"{name}.attention_norm", width, True),
        norm(f"{name}.ffn_norm", width, True),
    )
    return (part(*front), part(*layer, repeats=_CLIP.num_layers))


def _projector(out: int, inner: int) -> tuple[Module, ...]:
    joined = _LEVELS * _CLIP.hidden_size
    name = f"{_ROOT}.image_projector"
    return (
        table(f"{_ROOT}.pad_embed", 2, joined),
        *_attention(f"{_ROOT}.image_pooling_2d", joined),
        merged(f"{name}.merged_linear", _CLIP.hidden_size, (inner, inner), ("gate_proj", "up_proj")),
        row(f"{name}.down_proj", inner, out),
    )


FAMILY: Family = Family(
    "molmo",
    ("MolmoForCausalLM",),
    _describe,
    # molmo.py, hf_to_vllm_mapper; the head is renamed twice there.
    (
        ("model.vision_backbone.", "vision_backbone."),
        ("model.transformer.blocks.", "model.layers."),
        ("model.transformer.ln_f.", "model.norm."),
        ("model.transformer.wte.", "model.embed_tokens."),
        ("model.transformer.mlp.down_proj.", "lm_head."),
    ),
    (
        ("image_projector.w1.", "image_projector.gate_proj."),
        ("image_projector.w3.", "image_projector.up_proj."),
        ("image_projector.w2.", "image_projector.down_proj."),
        (".att_proj", ".self_attn.qkv_proj"),
        (".attn_out", ".self_attn.o_proj"),
        (".q_norm", ".self_attn.q_norm"),
        (".k_norm", ".self_attn.k_norm"),
        (".ff_proj", ".mlp.gate_up_proj"),
        (".ff_out", ".mlp.down_proj"),
        (".attn_norm", ".input_layernorm"),
        (".ff_norm", ".post_attention_layernorm"),
    ),
)
