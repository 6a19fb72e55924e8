"""MiniMax M3: attention on chosen blocks of the context in most layers, experts with a shared one, and a vision tower.

Source: vLLM 0.32 models/minimax_m3/.
"""

from dataclasses import replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section, Split, Stage, VisionTower
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_WIDTH,
    MOST_EXPERTS,
    MOST_HEADS,
    Decoder,
    Shape,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, qkv, replicated, rope_cache, row
from modelserving.models.families.mixture import Mixture, mixture_modules
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_MIXTURE = Mixture(
    num_experts="num_local_experts",
    block="block_sparse_moe",
    parts=("w1", "w3", "w2"),
    shared="shared_experts",
    router_dtype="float32",
)
_POSITIONS = 1048576
_LARGEST_VISION = 2**16
_CHANNELS, _FRAMES, _MERGE = 3, 2, 2


def describe_text(config: Fields, prefix: str = "") -> Description:
    """Describe the language model.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    shape = read_shape(config)
    rope = read_rope(config, _POSITIONS)
    rotary = config.whole("rotary_dim", int(shape.head_size * rope.partial_rotary_factor), low=2, high=shape.head_size)
    root = f"{prefix}model.layers.*"
    sparse = _marked(config, "moe_layer_freq", shape.num_layers)
    chooser = config.part("sparse_attention_config")
    indexed: tuple[int, ...] = ()
    if chooser is not None and chooser.flag("use_sparse_attention", True):
        indexed = _marked(chooser, "sparse_attention_freq", shape.num_layers)
    found = Experts(
        config.whole("num_local_experts", high=MOST_EXPERTS),
        config.whole("num_experts_per_tok", high=MOST_EXPERTS),
        config.whole("moe_intermediate_size", shape.intermediate_size, high=LARGEST_WIDTH),
        sparse,
    )
    dense = config.whole("dense_intermediate_size", shape.intermediate_size, high=LARGEST_WIDTH)

    def layer(index: int) -> tuple[Module, ...]:
        follow = (
            _mixture(config, shape, found, root)
            if index in sparse
            else gated_mlp(f"{root}.mlp", shape.hidden_size, dense)
        )
        norms = (norm(f"{root}.{name}", shape.hidden_size) for name in ("input_layernorm", "post_attention_layernorm"))
        return (*_attention(config, shape, f"{root}.self_attn", chooser if index in indexed else None), *follow, *norms)

    size = shape.head_size
    everything = tuple(range(shape.num_layers))
    groups = [AttentionGroup(AttentionKind.FULL, everything, shape.num_heads, shape.num_kv_heads, size, size)]
    if chooser is not None and indexed:
        key = chooser.whole("sparse_index_dim", 128, high=LARGEST_HEAD)
        heads = chooser.whole("sparse_num_index_heads", 4, high=MOST_HEADS)
        groups.append(AttentionGroup(AttentionKind.MLA, indexed, heads, 1, key, 0, is_indexer=True))
    return put_together(
        Decoder(
            shape=replace(shape, intermediate_size=max(dense, found.intermediate_size)),
            rope=rope,
            layer=layer,
            attention=tuple(groups),
            tied=config.flag("tie_word_embeddings"),
            prefix=prefix,
            buffers=(rope_cache(rope.cache_rows, rotary),),
            experts=found if sparse else None,
        )
    )


def _marked(config: Fields, key: str, num_layers: int) -> tuple[int, ...]:
    if isinstance(config.raw(key), list):
        return config.indices_marked(key, num_layers)
    return layers_where(num_layers, lambda index: True) if config.raw(key) is None else ()


def _attention(config: Fields, shape: Shape, name: str, chooser: Fields | None) -> tuple[Module, ...]:
    size, width = shape.head_size, shape.hidden_size
    joined = qkv(f"{name}.qkv_proj", width, (shape.num_heads, shape.num_kv_heads), (size, size))
    norms: tuple[Module, ...] = ()
    if config.flag("use_qk_norm", True):
        norms = (norm(f"{name}.q_norm", size), norm(f"{name}.k_norm", size))
    if chooser is not None:
        # Queries and the key by which blocks are chosen come with the others.
        heads = chooser.whole("sparse_num_index_heads", 4, high=MOST_HEADS)
        key = chooser.whole("sparse_index_dim", 128, high=LARGEST_HEAD)
        joined = replace(
            joined,
            out_features=(*joined.out_features, heads * key, key),
            heads=(*joined.heads, heads, 1),
            sources=(*joined.sources, f"{name}.index_q_proj", f"{name}.index_k_proj"),
        )
        norms += (norm(f"{name}.index_q_norm", key), norm(f"{name}.index_k_norm", key))
    return (joined, row(f"{name}.o_proj", shape.num_heads * size, width), *norms)


def _mixture(config: Fields, shape: Shape, found: Experts, root: str) -> tuple[Module, ...]:
    count = config.whole("n_shared_experts", 0, low=0, high=MOST_EXPERTS)
    size = config.whole("shared_intermediate_size", found.intermediate_size, low=0, high=LARGEST_WIDTH)
    bias = "e_score_correction_bias" if config.flag("use_routing_bias") else ""
    return mixture_modules(
        replace(_MIXTURE, correction_bias=bias), found, shape.hidden_size, root, size if count else 0
    )


def _multimodal(config: Fields) -> Description:
    text = describe_text(config.required_part("text_config"), "language_model.")
    vision = config.required_part("vision_config")
    width = vision.whole("hidden_size", high=_LARGEST_VISION)
    heads = vision.whole("num_attention_heads", high=width)
    inner = vision.whole("intermediate_size", high=_LARGEST_VISION)
    layers = vision.whole("num_hidden_layers", high=512)
    patch = vision.whole("patch_size", 14, high=1024)
    image = vision.whole("image_size", 2016, low=patch, high=_LARGEST_VISION)
    if width % heads:
        raise vision.fail("num_attention_heads", f"a divisor of hidden_size ({width})")
    packing = vision.part("img_token_compression_config") or Fields({}, "img_token_compression_config")
    merge = packing.whole("spatial_merge_size", _MERGE, high=64)
    pixels = _CHANNELS * packing.whole("temporal_patch_size", _FRAMES, high=64) * patch**2
    projected = config.whole("projector_hidden_size", text.hidden_size, high=LARGEST_WIDTH)
    root, size = "vision_tower", width // heads
    name = f"{root}.vision_model.encoder.layers.*"
    front = (
        replicated(f"{root}.vision_model.embeddings.patch_embedding", pixels, width, quantizable=False),
        norm(f"{root}.vision_model.pre_layrnorm", width, True),
    )
    block = (
        norm(f"{name}.layer_norm1", width, True),
        norm(f"{name}.layer_norm2", width, True),
        qkv(f"{name}.self_attn.qkv_proj", width, (heads, heads), (size, size), True),
        row(f"{name}.self_attn.out_proj", width, width, True),
        column(f"{name}.fc1", width, inner, True),
        row(f"{name}.fc2", inner, width, True),
    )
    tail = (
        column(f"{root}.multi_modal_projector.linear_1", width, projected, True),
        row(f"{root}.multi_modal_projector.linear_2", projected, text.hidden_size, True),
        column(f"{root}.patch_merge_mlp.linear_1", text.hidden_size * merge**2, projected, True),
        row(f"{root}.patch_merge_mlp.linear_2", projected, text.hidden_size, True),
    )
    # Frequencies of time, height and width: a third of a head's pairs each.
    pairs = size // 2 // 3
    frequencies = tuple(
        Module(f"{root}.inv_freq_{axis}", Split.REPLICATED, 1, (pairs,), fixed_dtype="float32") for axis in "thw"
    )
    parts = (
        Section(Stage.EVERY, front, tower=True),
        Section(Stage.EVERY, frequencies, tower=True, buffers=True),
        Section(Stage.EVERY, block, repeats=layers, tower=True, shard_heads=heads),
        Section(Stage.EVERY, tail, tower=True, shard_heads=heads),
    )
    patches = (image // patch) ** 2
    tokens = max(1, patches // merge**2)
    tower = VisionTower(width, inner, layers, heads, patches, tokens, tokens, ("image", "video"))
    return replace(text, sections=(*parts, *text.sections), vision=tower)


FAMILIES = (
    Family("minimax_m3_text", ("MiniMaxM3SparseForCausalLM",), describe_text, unused=("mtp.", "model.mtp")),
    Family(
        "minimax_m3", ("MiniMaxM3SparseForConditionalGeneration",), _multimodal, unused=("mtp.", "language_model.mtp")
    ),
)
