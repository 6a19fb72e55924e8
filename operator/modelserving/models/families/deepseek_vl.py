"""DeepSeek VL2, OCR and OCR 2: an encoder, a projector and DeepSeek V2, which the small ones run without latent attention.

Source: vLLM 0.32 model_executor/models/deepseek_vl2.py, deepseek_ocr.py, deepseek_ocr2.py, deepencoder.py, deepencoder2.py;
the SigLIP of VL2 is timm's vit_so400m_patch14_siglip_384, of which vLLM cuts the MLPs only.
"""

from dataclasses import replace

from modelserving.models.facts import Section, VisionTower
from modelserving.models.families import sam
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm, rope_frequencies
from modelserving.models.families.nested import language_model
from modelserving.models.families.towers import (
    LARGEST_WIDTH,
    Vit,
    attention,
    join,
    kept,
    mlp,
    part,
    plain,
    table,
    tower,
    vector,
)
from modelserving.models.fields import Fields, InvalidFieldError, show

# timm vit_so400m_patch14_siglip_384.webli, whatever config.json says (deepseek_vl2.py, _init_vision_module).
_SIGLIP = Vit(1152, 4304, 27, 16, 384, 14)
# deepseek_ocr.py, clip_vision_config.
_CLIP = Vit(1024, 4096, 24, 16, 224, 14)
# deepencoder2.py, build_qwen2_decoder_as_encoder.
_QWEN2 = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
}
# Queries of a tile and of the whole image (deepencoder2.py, Qwen2Decoder2Encoder).
_QUERIES = {"query_768": 144, "query_1024": 256}
# transformers DeepseekV2Config.
_LATENT = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
# Tokens of the whole image and of the largest number of tiles: six in one row (transformers_utils/processors/deepseek_ocr.py).
_OCR_TOKENS = (273, 933)
_OCR2_TOKENS = (257, 857)
_MOST_RESOLUTIONS = 256


def _text(config: Fields) -> Description:
    inner = config.required_part("language_config")
    filled = inner.having(**{key: value for key, value in _LATENT.items() if not inner.has(key)})
    plain_heads = all(filled.raw(key) == 0 for key in ("qk_nope_head_dim", "qk_rope_head_dim"))
    # deepseek_v2.py, use_mha.
    return language_model(filled, None, "DeepseekForCausalLM" if plain_heads else "DeepseekV2ForCausalLM")


def _projector(config: Fields) -> tuple[Section, int]:
    """The projector, and its width; defaults: vLLM transformers_utils/configs/deepseek_vl2.py, MlpProjectorConfig."""
    sizes = config.part("projector_config") or Fields({}, "projector_config")
    kind = sizes.text("projector_type", "downsample_mlp_gelu")
    inputs = sizes.whole("input_dim", 1152, high=LARGEST_WIDTH)
    out = sizes.whole("n_embed", 2048, high=LARGEST_WIDTH)
    if kind == "linear":
        return part(plain("projector.layers", inputs, out)), out
    if kind != "downsample_mlp_gelu":
        raise InvalidFieldError(
            f"{sizes.name('projector_type')} is {show(kind)}; vLLM knows linear and downsample_mlp_gelu"
        )
    inner = out * sizes.whole("mlp_ratio", 1, high=64)
    joined = inputs * sizes.whole("downsample_ratio", 2, high=64) ** 2
    depth = sizes.whole("depth", 2, low=2, high=64)
    between = (plain(f"projector.layers.{2 * index}", inner, inner) for index in range(1, depth - 1))
    ends = (plain("projector.layers.0", joined, inner), plain(f"projector.layers.{2 * (depth - 1)}", inner, out))
    return part(ends[0], *between, ends[1]), out


def _marks(*names: str, width: int) -> Section:
    return part(*(vector(name, width) for name in names))


def _vl2(config: Fields) -> Description:
    text = _text(config)
    projector, out = _projector(config)
    parts = (_marks("image_newline", "view_seperator", width=out), *_siglip("vision"), projector)
    return join(text, parts, _vl2_tower(config))


def _vl2_tower(config: Fields) -> VisionTower:
    """The largest image has the most tiles that config.json counts (deepseek_vl2.py, get_num_image_tokens)."""
    listed = config.raw("candidate_resolutions")
    sizes = listed[:_MOST_RESOLUTIONS] if isinstance(listed, list) else []
    side = -(-(_SIGLIP.image_size // _SIGLIP.patch_size) // 2)
    whole = side * (side + 1) + 1
    local = side * (side + 1)
    for index, pair in enumerate(sizes):
        name = f"candidate_resolutions[{index}]"
        pixels = Fields({name: pair}).wholes(name, 0, low=1, high=2**16)
        across, down = (pixels[0] // _SIGLIP.image_size, pixels[-1] // _SIGLIP.image_size)
        local = max(local, down * side * (across * side + 1))
    return tower(_SIGLIP, whole, largest=whole + local)


def _siglip(root: str) -> tuple[Section, ...]:
    """Layers as timm has them: whole on every rank, but for the MLPs (deepseek_vl2.py, patch_vit_for_tp)."""
    width, inner, name = _SIGLIP.hidden_size, _SIGLIP.intermediate_size, f"{root}.blocks.*"
    pool = f"{root}.attn_pool"
    layer = (
        norm(f"{name}.norm1", width, True),
        norm(f"{name}.norm2", width, True),
        plain(f"{name}.attn.qkv", width, 3 * width),
        plain(f"{name}.attn.proj", width, width),
        *mlp(f"{name}.mlp", width, inner, quantizable=False),
    )
    ends = (
        table(f"{root}.pos_embed", _SIGLIP.num_patches, width),
        plain(f"{root}.patch_embed.proj", _SIGLIP.pixels, width),
        norm(f"{root}.norm", width, True),
        vector(f"{pool}.latent", width),
        plain(f"{pool}.q", width, width),
        plain(f"{pool}.kv", width, 2 * width),
        plain(f"{pool}.proj", width, width),
        norm(f"{pool}.norm", width, True),
        *mlp(f"{pool}.mlp", width, inner, quantizable=False),
    )
    return (part(*ends), part(*layer, repeats=_SIGLIP.num_layers))


def _ocr(config: Fields) -> Description:
    text = _text(config)
    projector, out = _projector(config)
    parts = (
        _marks("image_newline", "view_seperator", width=out),
        *sam.sections("sam_model", _CLIP.hidden_size),
        *_clip("vision_model"),
        projector,
    )
    whole, largest = _OCR_TOKENS
    return join(text, parts, tower(sam.SAM, whole, largest=largest))


def _clip(root: str) -> tuple[Section, ...]:
    width = _CLIP.hidden_size
    front = (
        vector(f"{root}.embeddings.class_embedding", width),
        plain(f"{root}.embeddings.patch_embedding", _CLIP.pixels, width, False),
        table(f"{root}.embeddings.position_embedding", _CLIP.num_patches + 1, width),
        norm(f"{root}.pre_layrnorm", width, True),
    )
    name = f"{root}.transformer.layers.*"
    layer = (
        *attention(f"{name}.self_attn", width, _CLIP.num_heads, parts=("qkv_proj",)),
        norm(f"{name}.layer_norm1", width, True),
        *mlp(f"{name}.mlp", width, _CLIP.intermediate_size),
        norm(f"{name}.layer_norm2", width, True),
    )
    return (
        part(*front),
        kept(table(f"{root}.embeddings.position_ids", 1, _CLIP.num_patches + 1, "int64")),
        part(*layer, repeats=_CLIP.num_layers),
    )


def _ocr2(config: Fields) -> Description:
    text = _text(config)
    projector, out = _projector(config)
    parts = (
        _marks("view_seperator", width=out),
        *sam.sections("sam_model", _QWEN2["hidden_size"]),
        *_qwen2("qwen2_model"),
        projector,
    )
    whole, largest = _OCR2_TOKENS
    return join(text, parts, tower(sam.SAM, whole, largest=largest))


def _qwen2(root: str) -> tuple[Section, ...]:
    """A decoder as encoder, of transformers' own modules, whole on every rank."""
    width, inner = _QWEN2["hidden_size"], _QWEN2["intermediate_size"]
    size = width // _QWEN2["num_attention_heads"]
    keys = size * _QWEN2["num_key_value_heads"]
    name = f"{root}.model.model.layers.*"
    layer = (
        plain(f"{name}.self_attn.q_proj", width, width),
        plain(f"{name}.self_attn.k_proj", width, keys),
        plain(f"{name}.self_attn.v_proj", width, keys),
        plain(f"{name}.self_attn.o_proj", width, width, False),
        plain(f"{name}.mlp.gate_proj", width, inner, False),
        plain(f"{name}.mlp.up_proj", width, inner, False),
        plain(f"{name}.mlp.down_proj", inner, width, False),
        norm(f"{name}.input_layernorm", width),
        norm(f"{name}.post_attention_layernorm", width),
    )
    queries = (table(f"{root}.{key}", count, width) for key, count in _QUERIES.items())
    return (
        part(norm(f"{root}.model.model.norm", width), *queries),
        part(*layer, repeats=_QWEN2["num_hidden_layers"]),
        replace(rope_frequencies(size), tower=True),
    )


VL2: Family = Family("deepseek_vl2", ("DeepseekVLV2ForCausalLM",), _vl2, (("language.", "language_model."),))
# hf_to_vllm_mapper of deepseek_ocr.py, which deepseek_ocr2.py has as well.
_PREFIXES = (
    ("model.embed_tokens.", "language_model.model.embed_tokens."),
    ("model.layers.", "language_model.model.layers."),
    ("model.norm.", "language_model.model.norm."),
    ("lm_head.", "language_model.lm_head."),
    ("model.", ""),
)
OCR: Family = Family("deepseek_ocr", ("DeepseekOCRForCausalLM",), _ocr, _PREFIXES)
OCR2: Family = Family("deepseek_ocr2", ("DeepseekOCR2ForCausalLM",), _ocr2, _PREFIXES)
