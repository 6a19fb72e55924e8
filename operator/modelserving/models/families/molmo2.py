"""Molmo 2: a SigLIP whose deeper layers are read twice, attention that pools patches and a decoder of its own.

Source: vLLM 0.32 model_executor/models/molmo2.py.
"""

from modelserving.models.facts import Module, Section, VisionTower
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, merged, norm, rope_cache, row
from modelserving.models.families.molmo import with_added_rows
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
)
from modelserving.models.fields import Fields

# molmo2.py, VitConfig, AdapterConfig and TextConfig.
_VISION = Vit(1152, 4304, 27, 16, 378, 14)
_POSITIONS, _LAYERS, _HEADS, _HEAD_SIZE, _INNER = 577, (-3, -9), 16, 72, 18944
_ADDED, _HEAD = 128, 128
# Patches that an image's token is pooled from, a side; tiles of the largest image, the whole one besides (max_crops of
# the published processor).
_POOLED, _TILES = 2, 9
_ROOT = "vision_backbone"


def _describe(config: Fields) -> Description:
    inner = config.part("text_config") or config.required_part("llm_config")
    text = _text(inner)
    vision = config.part("vit_config") or Fields({}, "vit_config")
    adapter = config.part("adapter_config") or Fields({}, "adapter_config")
    vit = read_vit(
        vision.renamed({"image_size": "image_default_input_size", "patch_size": "image_patch_size"}), _VISION
    )
    levels = adapter.or_else({"vit_layers": _LAYERS}).wholes(
        "vit_layers", 0, low=-vit.num_layers, high=vit.num_layers - 1
    )
    used = max(level + 1 if level >= 0 else vit.num_layers + level + 1 for level in levels)
    parts = (*_tower(vision, vit, used), part(*_adapter(adapter, len(levels) * vit.hidden_size, text.hidden_size)))
    return join(text, parts, _facts(vit))


def _facts(vit: Vit) -> VisionTower:
    side = -(-(vit.image_size // vit.patch_size) // _POOLED)
    return tower(vit, side**2, ("image", "video"), _TILES * side * (side + 1))


def _text(config: Fields) -> Description:
    normed = ""
    if config.flag("use_qk_norm"):
        normed = "head" if config.text("qk_norm_type", "olmo") == "qwen3" else "all"
    decoder = DenseDecoder(
        defaults={"max_position_embeddings": 4096, "head_dim": _HEAD},
        qkv_bias="qkv_bias",
        qk_norm=normed,
        mlp="joined",
        qkv_parts=("qkv_proj",),
    )
    # Layers that are not named have an unscaled rope of their own.
    size = config.whole("head_dim", _HEAD, high=4096)
    own = rope_cache(config.whole("max_position_embeddings", 4096), size)
    # Its class never ties embeddings.
    told = config.having(tie_word_embeddings=False)
    text = describe_dense(told, decoder, buffers=(own,) if config.raw("rope_scaling_layers") is not None else ())
    added = config.whole("additional_vocab_size", _ADDED, low=0, high=2**20)
    return with_added_rows(text, text.vocab_size, added) if added else text


def _tower(vision: Fields, vit: Vit, layers: int) -> tuple[Section, ...]:
    root, width = f"{_ROOT}.image_vit", vit.hidden_size
    name = f"{root}.transformer.resblocks.*"
    layer = (
        *attention(f"{name}.attention", width, vit.num_heads, "merged_qkv", "wo", ("wq", "wk", "wv")),
        *mlp(f"{name}.feed_forward", width, vit.intermediate_size, ("w1", "w2")),
        norm(f"{name}.attention_norm", width, True),
        norm(f"{name}.ffn_norm", width, True),
    )
    positions = vision.whole("image_num_pos", _POSITIONS, high=2**20)
    front = (
        table(f"{root}.positional_embedding", positions, width),
        plain(f"{root}.patch_embedding", vit.pixels, width),
    )
    return (part(*front), part(*layer, repeats=layers))


def _adapter(adapter: Fields, joined: int, out: int) -> tuple[Module, ...]:
    width = adapter.whole("hidden_size", _VISION.hidden_size, high=LARGEST_WIDTH)
    heads = adapter.whole("num_attention_heads", _HEADS, high=4096)
    keys = adapter.whole("num_key_value_heads", heads, high=heads)
    size = adapter.whole("head_dim", _HEAD_SIZE, high=4096)
    inner = adapter.whole("intermediate_size", _INNER, high=LARGEST_WIDTH)
    pool, projector = f"{_ROOT}.image_pooling_2d", f"{_ROOT}.image_projector"
    return (
        column(f"{pool}.q_proj", joined, heads * size, True),
        merged(f"{pool}.merged_kv", joined, (keys * size,) * 2, ("k_proj", "v_proj"), True),
        row(f"{pool}.o_proj", heads * size, width, True),
        merged(f"{projector}.merged_linear", width, (inner, inner), ("gate_proj", "up_proj")),
        row(f"{projector}.down_proj", inner, out),
    )


FAMILY: Family = Family(
    "molmo2",
    ("Molmo2ForConditionalGeneration",),
    _describe,
    # molmo2.py, hf_to_vllm_mapper; the joined projection of the MLP is named as Phi 3's here.
    (
        ("model.vision_backbone.", "vision_backbone."),
        ("model.transformer.blocks.", "model.layers."),
        ("model.transformer.ln_f.", "model.norm."),
        ("model.transformer.wte.", "model.embed_tokens."),
    ),
    (
        ("image_pooling_2d.wq", "image_pooling_2d.q_proj"),
        ("image_pooling_2d.wk", "image_pooling_2d.k_proj"),
        ("image_pooling_2d.wv", "image_pooling_2d.v_proj"),
        ("image_pooling_2d.wo", "image_pooling_2d.o_proj"),
        ("image_projector.w1.", "image_projector.gate_proj."),
        ("image_projector.w3.", "image_projector.up_proj."),
        ("image_projector.w2.", "image_projector.down_proj."),
        (".att_proj", ".qkv_proj"),
        (".attn_out", ".o_proj"),
        (".ff_proj", ".gate_up_proj"),
        (".ff_out", ".down_proj"),
        (".attn_norm", ".input_layernorm"),
        (".ff_norm", ".post_attention_layernorm"),
    ),
)
