"""DeepSeek V4: latent attention over a window and over compressed context, hyper-connections, experts chosen by hash first.

Every layer keeps a window of latent vectors. A layer with a compression ratio keeps one more vector for so many tokens,
and the state of its compressor; with the finer ratio an indexer chooses among them. Source: vLLM 0.32 models/deepseek_v4/.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import (
    AttentionGroup,
    AttentionKind,
    Experts,
    LatentAttention,
    Module,
    Section,
    Split,
    Stage,
)
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_WIDTH,
    MOST_EXPERTS,
    MOST_HEADS,
    Decoder,
    Shape,
    put_together,
    read_shape,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, experts, gated_mlp, norm, replicated, rope_cache, router, row
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_ROOT = "model.layers.*"
# Sinks are filled up to what the kernel takes (attention.py, padded_heads).
_HEAD_MULTIPLE = 64
# Bytes of a latent vector: fp8 but for the rotated part, which stays in 16 bits, and 8 scales (sparse_swa.py).
_SCALES = 8
_INDEX_SCALE_BYTES = 4
_PAGE_ALIGNMENT = 576
_BLOCK, _WINDOW_BLOCK = 256, 64
# The finer ratio: windows overlap, so that states are twice as wide, and an indexer chooses.
_FINE = 4
_FINE_BLOCK, _COARSE_BLOCK = 4, 8


@dataclass(frozen=True, slots=True)
class _Sizes:
    shape: Shape
    rank: int
    rotary: int
    groups: int
    group_rank: int
    window: int
    index_heads: int
    index_size: int
    ratios: tuple[int, ...]
    streams: int


def _read(config: Fields) -> _Sizes:
    shape = read_shape(config.replaced({"intermediate_size": config.raw("moe_intermediate_size")}))
    ratios = config.wholes("compress_ratios", 0, low=0, high=2**20)
    if len(ratios) < shape.num_layers:
        raise config.fail("compress_ratios", f"a list of at least {shape.num_layers} whole numbers")
    groups = config.whole("o_groups", high=shape.num_heads)
    if shape.num_heads % groups:
        raise config.fail("o_groups", f"a divisor of num_attention_heads ({shape.num_heads})")
    return _Sizes(
        shape=shape,
        rank=config.whole("q_lora_rank", high=LARGEST_WIDTH),
        rotary=config.whole("qk_rope_head_dim", 64, high=shape.head_size),
        groups=groups,
        group_rank=config.whole("o_lora_rank", high=LARGEST_WIDTH),
        window=config.whole("sliding_window"),
        index_heads=config.whole("index_n_heads", high=MOST_HEADS),
        index_size=config.whole("index_head_dim", high=LARGEST_HEAD),
        ratios=ratios[: shape.num_layers],
        streams=config.whole("hc_mult", 4, high=64),
    )


def _describe(config: Fields) -> Description:
    sizes = _read(config)
    shape = sizes.shape
    rope = read_rope(config, None)
    everything = tuple(range(shape.num_layers))
    count = config.whole("n_routed_experts", high=MOST_EXPERTS)
    top_k = config.whole("num_experts_per_tok", high=count)
    found = Experts(count, top_k, config.whole("moe_intermediate_size", high=LARGEST_WIDTH), everything)
    hashed = config.whole("num_hash_layers", 0, low=0)
    kinds = {ratio > 1 for ratio in sizes.ratios}
    described = put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: _layer(config, sizes, found, index, index < hashed),
            attention=_groups(sizes),
            tied=config.flag("tie_word_embeddings"),
            # Compressed context is rotated by a base of its own.
            buffers=(rope_cache(rope.cache_rows, sizes.rotary, "float32"),) * len(kinds),
            experts=found,
            latent_attention=LatentAttention(
                kv_lora_rank=shape.head_size - sizes.rotary,
                qk_nope_head_dim=shape.head_size - sizes.rotary,
                qk_rope_head_dim=sizes.rotary,
                v_head_dim=shape.head_size,
                index_topk=config.optional_whole("index_topk"),
            ),
        )
    )
    wide = sizes.streams * shape.hidden_size
    head = (
        _whole("model.hc_head_fn", sizes.streams, wide, "float32"),
        _whole("model.hc_head_base", sizes.streams, 1, "float32"),
        _whole("model.hc_head_scale", 1, 1, "float32"),
    )
    kept = tuple(section for section in described.sections if not _is_scales(section))
    return replace(described, sections=(Section(Stage.LAST, head), *kept))


def _is_scales(section: Section) -> bool:
    """Its attention has no scales of its own."""
    return section.buffers and section.stage is Stage.LAYERS


def _whole(name: str, rows: int, columns: int, dtype: str | None = None) -> Module:
    return Module(name, Split.REPLICATED, columns, (rows,), fixed_dtype=dtype)


def _layer(config: Fields, sizes: _Sizes, found: Experts, index: int, hashed: bool) -> tuple[Module, ...]:
    width, streams = sizes.shape.hidden_size, sizes.streams
    mixes = (2 + streams) * streams
    connections = tuple(
        module
        for part in ("attn", "ffn")
        for module in (
            _whole(f"{_ROOT}.hc_{part}_fn", mixes, streams * width, "float32"),
            _whole(f"{_ROOT}.hc_{part}_base", mixes, 1, "float32"),
            _whole(f"{_ROOT}.hc_{part}_scale", 3, 1, "float32"),
        )
    )
    return (
        *connections,
        *_attention(sizes, sizes.ratios[index]),
        *_mixture(config, sizes, found, hashed),
        norm(f"{_ROOT}.attn_norm", width),
        norm(f"{_ROOT}.ffn_norm", width),
    )


def _attention(sizes: _Sizes, ratio: int) -> tuple[Module, ...]:
    shape, name = sizes.shape, f"{_ROOT}.attn"
    width, size, heads = shape.hidden_size, shape.head_size, shape.num_heads
    sinks = Module(f"{name}.attn_sink", Split.COLUMN, 1, (heads,), fixed_dtype="float32", row_multiple=_HEAD_MULTIPLE)
    into = Module(
        f"{name}.fused_wqa_wkv",
        Split.REPLICATED,
        width,
        (sizes.rank, size),
        quantizable=True,
        sources=(f"{name}.wq_a", f"{name}.wkv"),
    )
    modules: tuple[Module, ...] = (
        sinks,
        into,
        norm(f"{name}.q_norm", sizes.rank),
        column(f"{name}.wq_b", sizes.rank, heads * size),
        norm(f"{name}.kv_norm", size),
        column(f"{name}.wo_a", heads * size // sizes.groups, sizes.groups * sizes.group_rank),
        row(f"{name}.wo_b", sizes.groups * sizes.group_rank, width),
    )
    if ratio > 1:
        modules += _compressor(width, size, ratio, f"{name}.compressor")
    if ratio == _FINE:
        modules += (
            replicated(f"{name}.indexer.wq_b", sizes.rank, sizes.index_heads * sizes.index_size),
            router(f"{name}.indexer.weights_proj", width, sizes.index_heads),
            *_compressor(width, sizes.index_size, ratio, f"{name}.indexer.compressor"),
        )
    return modules


def _overlap(ratio: int) -> int:
    return 2 if ratio == _FINE else 1


def _compressor(width: int, size: int, ratio: int, name: str) -> tuple[Module, ...]:
    wide = _overlap(ratio) * size
    joined = Module(
        f"{name}.fused_wkv_wgate", Split.REPLICATED, width, (wide, wide), sources=(f"{name}.wkv", f"{name}.wgate")
    )
    return (_whole(f"{name}.ape", ratio, wide, "float32"), joined, norm(f"{name}.norm", size))


def _mixture(config: Fields, sizes: _Sizes, found: Experts, hashed: bool) -> tuple[Module, ...]:
    """Experts; the first layers choose them by the token itself, from a table."""
    shape, name = sizes.shape, f"{_ROOT}.ffn"
    if hashed:
        choice = _whole(f"{name}.gate.tid2eid", shape.vocab_size, found.top_k, "int32")
    else:
        choice = _whole(f"{name}.gate.e_score_correction_bias", found.num_experts, 1, "float32")
    shared = config.whole("n_shared_experts", 0, low=0, high=MOST_EXPERTS) * found.intermediate_size
    beside = gated_mlp(f"{name}.shared_experts", shape.hidden_size, shared) if shared else ()
    return (
        router(f"{name}.gate", shape.hidden_size, found.num_experts),
        choice,
        *beside,
        *experts(
            f"{name}.experts", found.num_experts, shape.hidden_size, found.intermediate_size, parts=("w1", "w3", "w2")
        ),
    )


def _groups(sizes: _Sizes) -> tuple[AttentionGroup, ...]:
    """What layers keep, in the order in which vLLM meets it."""
    shape, everything = sizes.shape, tuple(range(sizes.shape.num_layers))
    latent = shape.head_size - sizes.rotary + 2 * sizes.rotary + _SCALES
    index = sizes.index_size + _INDEX_SCALE_BYTES
    groups = [
        _window(shape, everything, latent, "uint8", _WINDOW_BLOCK, sizes.window),
    ]
    for ratio in dict.fromkeys(ratio for ratio in sizes.ratios if ratio > 1):
        layers = tuple(at for at in everything if sizes.ratios[at] == ratio)
        reach = _overlap(ratio) * ratio
        block = _FINE_BLOCK if ratio == _FINE else _COARSE_BLOCK
        if ratio == _FINE:
            groups += [
                _compressed(shape, layers, index, ratio, True),
                _window(shape, layers, 2 * _overlap(ratio) * sizes.index_size, "float32", block, reach),
            ]
        groups += [
            _compressed(shape, layers, latent, ratio, False),
            _window(shape, layers, 2 * _overlap(ratio) * shape.head_size, "float32", block, reach),
        ]
    return tuple(groups)


def _window(shape: Shape, layers: tuple[int, ...], size: int, dtype: str, block: int, reach: int) -> AttentionGroup:
    return AttentionGroup(
        AttentionKind.SLIDING_WINDOW_MLA,
        layers,
        shape.num_heads,
        1,
        size,
        0,
        sliding_window=reach,
        fixed_dtype=dtype,
        block_size=block,
        page_alignment=_PAGE_ALIGNMENT,
    )


def _compressed(shape: Shape, layers: tuple[int, ...], size: int, ratio: int, is_indexer: bool) -> AttentionGroup:
    return AttentionGroup(
        AttentionKind.MLA,
        layers,
        shape.num_heads,
        1,
        size,
        0,
        fixed_dtype="uint8",
        block_size=_BLOCK,
        tokens_per_state=ratio,
        page_alignment=_PAGE_ALIGNMENT,
        is_indexer=is_indexer,
    )


FAMILY = Family(
    "deepseek_v4",
    ("DeepseekV4ForCausalLM",),
    _describe,
    (
        ("layers.", "model.layers."),
        ("embed.", "model.embed_tokens."),
        ("norm.", "model.norm."),
        ("head.", "lm_head."),
        ("hc_head", "model.hc_head"),
    ),
    (
        (".shared_experts.w1", ".shared_experts.gate_proj"),
        (".shared_experts.w3", ".shared_experts.up_proj"),
        (".shared_experts.w2", ".shared_experts.down_proj"),
        (".ffn.gate.bias", ".ffn.gate.e_score_correction_bias"),
    ),
    ("mtp.",),
)
