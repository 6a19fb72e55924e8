"""Gemma 4: windows and full layers of different head sizes, experts beside an MLP, per-layer inputs; a small vision tower.

Source: vLLM 0.32 model_executor/models/gemma4.py, gemma4_mm.py. The tower is transformers' own, whole on every rank.
"""

from dataclasses import replace

from modelserving.models.facts import (
    AttentionGroup,
    AttentionKind,
    Experts,
    Module,
    Section,
    Split,
    Stage,
    VisionTower,
)
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_VOCABULARY,
    LARGEST_WIDTH,
    MOST_HEADS,
    Decoder,
    Shape,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.gemma2 import NORMALIZER, NORMS
from modelserving.models.families.layers import (
    column,
    experts,
    gated_mlp,
    norm,
    qkv,
    replicated,
    rope_cache,
    router,
    row,
)
from modelserving.models.families.mixture import Mixture, read_experts
from modelserving.models.fields import Fields, InvalidFieldError
from modelserving.models.rope import read_rope

# Defaults: transformers Gemma4TextConfig.
_DEFAULTS = {
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131072,
    "vocab_size": 262144,
}
_MIXTURE = Mixture(top_k="top_k_experts", gelu=True)
_SLIDING = "sliding_attention"
_PATTERN = 6
_LARGEST_VISION = 2**16
# A video: so many frames at most, each with marks around it and a time stamp (gemma4_mm.py, get_mm_max_tokens_per_item).
_VIDEO_FRAMES, _FRAME_TOKENS = 32, 70 + 2 + 6


def _text(config: Fields, prefix: str = "") -> Description:
    shape = read_shape(config, _DEFAULTS)
    size = config.whole("global_head_dim", shape.head_size, high=LARGEST_HEAD)
    heads = config.whole("num_global_key_value_heads", shape.num_kv_heads, high=MOST_HEADS)
    if shape.num_heads % heads:
        raise config.fail("num_global_key_value_heads", f"a divisor of num_attention_heads ({shape.num_heads})")
    wide = replace(shape, head_size=size, num_kv_heads=heads)
    sliding = _sliding_layers(config, shape.num_layers)
    shared = config.whole("num_kv_shared_layers", 0, low=0, high=shape.num_layers)
    first_shared = shape.num_layers - shared
    found = None
    if config.raw("num_experts") is not None:
        found = read_experts(config, _MIXTURE, tuple(range(shape.num_layers)))
    per_layer = config.whole("hidden_size_per_layer_input", 0, low=0, high=LARGEST_WIDTH)
    double = config.flag("use_double_wide_mlp")
    root = f"{prefix}model.layers.*"

    def layer(index: int) -> tuple[Module, ...]:
        of_layer, is_shared = (shape if index in sliding else wide), shared > 0 and index >= first_shared
        inner = shape.intermediate_size * (2 if double and is_shared else 1)
        return (
            *_attention(config, of_layer, f"{root}.self_attn", is_shared),
            *gated_mlp(f"{root}.mlp", shape.hidden_size, inner),
            *(norm(f"{root}.{name}", shape.hidden_size) for name in NORMS),
            *(_mixture(found, shape.hidden_size, root) if found is not None else ()),
            *_per_layer(per_layer, shape.hidden_size, root),
        )

    description = put_together(
        Decoder(
            shape=shape,
            rope=read_rope(config, _DEFAULTS["max_position_embeddings"]),
            layer=layer,
            attention=_groups(config, shape, wide, sliding, first_shared),
            tied=config.flag("tie_word_embeddings", True),
            prefix=prefix,
            buffers=_buffers(config, shape, wide, root, found),
            experts=found,
        )
    )
    return replace(description, sections=(*_per_layer_tables(config, per_layer, shape, prefix), *description.sections))


def _sliding_layers(config: Fields, num_layers: int) -> tuple[int, ...]:
    kinds = config.texts("layer_types")
    if kinds:
        if len(kinds) < num_layers:
            raise config.fail("layer_types", f"a list of {num_layers} texts")
        return layers_where(num_layers, lambda index: kinds[index] == _SLIDING)
    return layers_where(num_layers, lambda index: (index + 1) % _PATTERN != 0)


def _attention(config: Fields, shape: Shape, name: str, is_shared: bool) -> tuple[Module, ...]:
    size, width, biased = shape.head_size, shape.hidden_size, config.flag("attention_bias")
    output = row(f"{name}.o_proj", shape.num_heads * size, width, biased)
    if is_shared:
        return (column(f"{name}.q_proj", width, shape.num_heads * size, biased), output, norm(f"{name}.q_norm", size))
    joined = qkv(f"{name}.qkv_proj", width, (shape.num_heads, shape.num_kv_heads), (size, size), biased)
    return (joined, output, norm(f"{name}.q_norm", size), norm(f"{name}.k_norm", size))


def _mixture(found: Experts, width: int, root: str) -> tuple[Module, ...]:
    """Experts beside the MLP, with three norms more."""
    return (
        Module(f"{root}.router.scale", Split.REPLICATED, 1, (width,)),
        Module(f"{root}.router.per_expert_scale", Split.REPLICATED, 1, (found.num_experts,)),
        router(f"{root}.router.proj", width, found.num_experts),
        *experts(f"{root}.experts", found.num_experts, width, found.intermediate_size),
        norm(f"{root}.post_feedforward_layernorm_1", width),
        norm(f"{root}.post_feedforward_layernorm_2", width),
        norm(f"{root}.pre_feedforward_layernorm_2", width),
    )


def _per_layer(size: int, width: int, root: str) -> tuple[Module, ...]:
    if not size:
        return ()
    return (
        replicated(f"{root}.per_layer_input_gate", width, size),
        replicated(f"{root}.per_layer_projection", size, width),
        norm(f"{root}.post_per_layer_input_norm", width),
    )


def _per_layer_tables(config: Fields, size: int, shape: Shape, prefix: str) -> tuple[Section, ...]:
    if not size:
        return ()
    rows = config.whole("vocab_size_per_layer_input", shape.vocab_size, high=LARGEST_VOCABULARY)
    width = size * shape.num_layers
    tables = (
        Module(f"{prefix}model.embed_tokens_per_layer", Split.VOCAB, width, (rows,)),
        column(f"{prefix}model.per_layer_model_projection", shape.hidden_size, width),
        norm(f"{prefix}model.per_layer_projection_norm", size),
    )
    return (Section(Stage.EVERY, tables),)


def _groups(
    config: Fields, shape: Shape, wide: Shape, sliding: tuple[int, ...], first_shared: int
) -> tuple[AttentionGroup, ...]:
    window = config.whole("sliding_window", 512)
    held = range(first_shared)
    full = tuple(index for index in held if index not in sliding)
    shared = tuple(range(first_shared, shape.num_layers))
    size, large = shape.head_size, wide.head_size
    groups = (
        AttentionGroup(
            AttentionKind.SLIDING_WINDOW,
            tuple(index for index in held if index in sliding),
            shape.num_heads,
            shape.num_kv_heads,
            size,
            size,
            window,
        ),
        AttentionGroup(AttentionKind.FULL, full, wide.num_heads, wide.num_kv_heads, large, large),
        AttentionGroup(AttentionKind.SHARED, shared, shape.num_heads, shape.num_kv_heads, size, size),
    )
    return tuple(group for group in groups if group.layers)


def _buffers(config: Fields, shape: Shape, wide: Shape, root: str, found: Experts | None) -> tuple[Section, ...]:
    rows = config.whole("max_position_embeddings", _DEFAULTS["max_position_embeddings"])
    scalars = [Module(f"{root}.layer_scalar", Split.REPLICATED, 1, (1,))]
    if found is not None:
        scalars.append(Module(f"{root}.router.root_size", Split.REPLICATED, 1, (1,)))
    per_layer = Section(Stage.LAYERS, tuple(scalars), layers=tuple(range(shape.num_layers)), buffers=True)
    return (rope_cache(rows, shape.head_size), rope_cache(rows, wide.head_size), NORMALIZER, per_layer)


def _multimodal(config: Fields) -> Description:
    text = _text(config.required_part("text_config"), "language_model.")
    vision = config.part("vision_config")
    if vision is None:
        raise InvalidFieldError("vision_config is missing")
    if config.raw("audio_config") is not None:
        raise InvalidFieldError("audio_config is set; Gemma 4 is known with images only")
    width = vision.whole("hidden_size", 768, high=_LARGEST_VISION)
    inner = vision.whole("intermediate_size", 3072, high=_LARGEST_VISION)
    heads = vision.whole("num_attention_heads", 12, high=width)
    layers = vision.whole("num_hidden_layers", 16, high=512)
    head = vision.whole("head_dim", max(1, width // heads), high=LARGEST_HEAD)
    patch = vision.whole("patch_size", 16, high=1024)
    positions = vision.whole("position_embedding_size", 10240, high=2**20)
    tokens = config.whole("vision_soft_tokens_per_image", 280, high=2**20)
    side = vision.whole("pooling_kernel_size", 3, high=64)
    root = "vision_tower"
    front = (
        replicated(f"{root}.patch_embedder.input_proj", 3 * patch**2, width, quantizable=False),
        Module(f"{root}.patch_embedder.position_embedding_table", Split.REPLICATED, width, (2 * positions,)),
    )
    block = _vision_block(f"{root}.encoder.layers.*", width, inner, heads * head, head)
    tail = (replicated("embed_vision.embedding_projection", width, text.hidden_size, quantizable=False),)
    standard = (
        Module(f"{root}.std_bias", Split.REPLICATED, 1, (width,)),
        Module(f"{root}.std_scale", Split.REPLICATED, 1, (width,)),
    )
    # transformers' rotary embedding of the tower keeps its frequencies twice.
    frequencies = tuple(
        Module(f"{root}.encoder.rotary_emb.{name}", Split.REPLICATED, 1, (max(1, head // 4),), fixed_dtype="float32")
        for name in ("inv_freq", "original_inv_freq")
    )
    parts = (
        Section(Stage.EVERY, front, tower=True),
        Section(Stage.EVERY, frequencies, tower=True, buffers=True),
        Section(Stage.EVERY, block, repeats=layers, tower=True),
        *((Section(Stage.EVERY, standard, tower=True),) if vision.flag("standardize") else ()),
        Section(Stage.EVERY, tail, tower=True),
    )
    largest = max(tokens, _VIDEO_FRAMES * _FRAME_TOKENS)
    tower = VisionTower(width, inner, layers, heads, tokens * side**2, tokens, largest, ("image", "video"))
    return replace(text, sections=(*parts, *text.sections), vision=tower)


def _vision_block(name: str, width: int, inner: int, heads: int, head: int) -> tuple[Module, ...]:
    plain = (
        *(replicated(f"{name}.self_attn.{part}_proj.linear", width, heads, quantizable=False) for part in "qkv"),
        replicated(f"{name}.self_attn.o_proj.linear", heads, width, quantizable=False),
        *(replicated(f"{name}.mlp.{part}_proj.linear", width, inner, quantizable=False) for part in ("gate", "up")),
        replicated(f"{name}.mlp.down_proj.linear", inner, width, quantizable=False),
    )
    norms = (norm(f"{name}.{part}", width) for part in NORMS)
    return (*plain, norm(f"{name}.self_attn.q_norm", head), norm(f"{name}.self_attn.k_norm", head), *norms)


TEXT = Family("gemma4_text", ("Gemma4ForCausalLM",), _text)
MULTIMODAL = Family(
    "gemma4",
    ("Gemma4ForConditionalGeneration",),
    _multimodal,
    (
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.embed_vision.", "embed_vision."),
    ),
)
