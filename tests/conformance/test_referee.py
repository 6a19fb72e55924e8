"""The KV cache of any mix of layers, against vLLM's own planner, live."""

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conformance.referee import answer
from model_cases import H100, V32, engine_config, facts_of
from modelserving.models.facts import AttentionGroup, AttentionKind, ModelFacts, State, StatePart
from modelserving.sizing.kv_blocks import block_size, token_bytes
from modelserving.sizing.kv_cache import stage_caches

LLAMA = facts_of("llama31-8b")
MOST_LAYERS = 24


def attention(kind: AttentionKind, heads: int, size: int, window: int | None = None) -> AttentionGroup:
    return AttentionGroup(kind, (), 32, heads, size, size, sliding_window=window)


STATE = AttentionGroup(
    AttentionKind.MAMBA,
    (),
    32,
    0,
    0,
    0,
    states=(State("conv", (StatePart(64, 480),)), State("ssm", (StatePart(64, 8192),), "float32")),
    checkpoint_blocks=1,
)
KINDS = [
    attention(AttentionKind.FULL, 8, 128),
    attention(AttentionKind.FULL, 8, 256),
    attention(AttentionKind.FULL, 2, 96),
    attention(AttentionKind.SLIDING_WINDOW, 8, 128, 512),
    attention(AttentionKind.SLIDING_WINDOW, 8, 128, 4096),
    attention(AttentionKind.SLIDING_WINDOW, 4, 128, 1024),
    attention(AttentionKind.SLIDING_WINDOW, 2, 96, 1024),
    AttentionGroup(AttentionKind.CROSS, (), 32, 8, 128, 128, max_tokens=1500),
    STATE,
]
LATENT = [
    AttentionGroup(AttentionKind.MLA, (), 32, 1, 576, 0),
    AttentionGroup(AttentionKind.MLA, (), 32, 1, 132, 0, fixed_dtype="uint8", is_indexer=True),
]


def mixed(kinds: list[AttentionGroup], layout: list[int]) -> ModelFacts:
    """A model whose layers keep these kinds in this order."""
    groups = [
        replace(kind, layers=layers)
        for index, kind in enumerate(kinds)
        if (layers := tuple(layer for layer, chosen in enumerate(layout) if chosen % len(kinds) == index))
    ]
    return replace(LLAMA, num_layers=len(layout), attention=tuple(groups))


def agree(facts: ModelFacts, length: int, ranks: int, stages: int, caches_prefixes: bool, whole: bool) -> None:
    config = engine_config(
        facts,
        max_model_len=length,
        tensor_parallel_size=ranks,
        pipeline_parallel_size=stages,
        max_num_batched_tokens=2048,
        enable_prefix_caching=caches_prefixes,
        disable_hybrid_kv_cache_manager=whole,
    )
    size = block_size(facts, config, H100, "bfloat16")
    others = [group for group in facts.attention if not group.states]
    page = max((size * token_bytes(group, config, "bfloat16") for group in others), default=0)
    try:
        theirs = answer(facts, config, size, page)
    except (NotImplementedError, ValueError):
        assume(False)
    ours = [(cache.bytes_per_block, cache.blocks_per_request) for cache in stage_caches(facts, config, H100, V32)]
    assert ours == [(block, blocks if block else 0) for block, blocks in theirs]


@settings(max_examples=400, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique_by=id),
    layout=st.lists(st.integers(0, 5), min_size=8, max_size=MOST_LAYERS),
    length=st.integers(1, 131072),
    ranks=st.sampled_from([1, 2, 4]),
    stages=st.sampled_from([1, 2]),
    caches_prefixes=st.booleans(),
    whole=st.sampled_from([False, False, False, True]),
)
def test_any_mix_of_layers_is_laid_out_alike(
    kinds: list[AttentionGroup],
    layout: list[int],
    length: int,
    ranks: int,
    stages: int,
    caches_prefixes: bool,
    whole: bool,
) -> None:
    agree(mixed(kinds, layout), length, ranks, stages, caches_prefixes, whole)


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 131072), ranks=st.sampled_from([1, 8]), layers=st.integers(1, 60))
def test_an_indexer_lies_beside_latent_vectors(length: int, ranks: int, layers: int) -> None:
    groups = tuple(replace(kind, layers=tuple(range(layers))) for kind in LATENT)
    agree(replace(LLAMA, num_layers=layers, attention=groups), length, ranks, 1, True, False)
