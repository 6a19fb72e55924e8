"""Groups of layers that share a block table: how vLLM lays layers that keep different things over one pool of blocks.

    one type      one group; a block holds the pages of all its layers
    several types pages made equal (longer blocks, or padding), layers split into groups of one size;
                  a block holds the pages of one group, a request takes the blocks of every group
    packed        as several types, but pages stay as they are: layers of one type form groups that repeat a pattern
                  of pages about as often as the others do

Source: vLLM 0.32 v1/core/kv_cache_utils.py `get_kv_cache_groups`, `unify_kv_cache_spec_page_size`,
`_get_kv_cache_groups_uniform_page_size`, `_project_kv_cache_groups_to_worker`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelserving.models.facts import AttentionKind
from modelserving.units import ceil_div

# Groups are as large as the smallest kind, or as the largest where kinds differ by less than this.
_GROUP_STRETCH = 1.5
# Kinds that keep the whole context: their layers share a group whatever their pages.
_WHOLE_CONTEXT = frozenset({AttentionKind.FULL, AttentionKind.MLA})


@dataclass(frozen=True, slots=True)
class LayerCache:
    """What one layer keeps (a KVCacheSpec of vLLM).

    Attributes:
        kind: what decides how long it is kept.
        block_size: tokens in a block; 0 for a recurrent state.
        page_bytes: bytes of one block of one layer.
        tokens: tokens that a request of max_model_len keeps at most.
        extra_blocks: blocks besides those tokens'.
        window: tokens it looks back, where that bounds what is kept.
        layout: all else in which layers of one group must agree: heads, sizes, type.
    """

    kind: AttentionKind
    block_size: int
    page_bytes: int
    tokens: int
    extra_blocks: int
    window: int | None = None
    layout: tuple[object, ...] = ()

    @property
    def blocks(self) -> int:
        """Blocks that a request of max_model_len tokens takes."""
        return (ceil_div(self.tokens, self.block_size) if self.block_size else 0) + self.extra_blocks

    @property
    def type_key(self) -> tuple[object, ...]:
        """Equal for layers that always need the same number of blocks (UniformTypeKVCacheSpecs.is_uniform_type)."""
        if self.kind in _WHOLE_CONTEXT:
            return (self.block_size,)
        state_page = self.page_bytes if self.kind is AttentionKind.MAMBA else 0
        return (self.kind, self.block_size, self.window, self.extra_blocks, state_page)


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that share a block table.

    Attributes:
        members: decoder layers that keep the same.
        blocks: blocks that a request of max_model_len tokens takes of this group.
    """

    members: tuple[tuple[tuple[int, ...], int], ...]
    blocks: int

    def bytes_per_block(self, stage: range) -> int:
        """Bytes of one block on a pipeline stage with these layers."""
        return sum(page * sum(map(stage.__contains__, layers)) for layers, page in self.members)


def groups(kept: Sequence[tuple[LayerCache, tuple[int, ...]]], packed: bool = False) -> tuple[Group, ...]:
    """Groups over the whole model; every pipeline stage holds its layers of each.

    Args:
        kept: what layers keep, with the decoder layers that keep it.
        packed: whether pages of different sizes lie side by side in a block.
    """
    if not kept:
        return ()
    if len({cache.type_key for cache, _ in kept}) == 1:
        members = tuple((layers, cache.page_bytes) for cache, layers in kept)
        return (Group(members, max(cache.blocks for cache, _ in kept)),)
    if packed:
        return _packed(kept)
    buckets: dict[LayerCache, list[int]] = {}
    largest = max(cache.page_bytes for cache, _ in kept)
    for cache, layers in kept:
        buckets.setdefault(_with_page(cache, largest), []).extend(layers)
    size = _group_size([len(bucket) for bucket in buckets.values()])
    return tuple(group for cache, bucket in buckets.items() for group in _split(cache, sorted(bucket), size))


def _packed(kept: Sequence[tuple[LayerCache, tuple[int, ...]]]) -> tuple[Group, ...]:
    """Groups of layers of one type (kv_cache_utils.py, _get_packed_kv_cache_groups)."""
    buckets: dict[tuple[object, ...], dict[int, list[int]]] = {}
    blocks: dict[tuple[object, ...], int] = {}
    for cache, layers in kept:
        pages = buckets.setdefault(cache.type_key, {})
        pages.setdefault(cache.page_bytes, []).extend(layers)
        blocks[cache.type_key] = max(blocks.get(cache.type_key, 0), cache.blocks)
    even = {key: len(set(map(len, pages.values()))) == 1 for key, pages in buckets.items()}
    repeats = {key: max(map(len, pages.values())) for key, pages in buckets.items()}
    smallest = max((repeats[key] for key, pages in buckets.items() if even[key] and len(pages) > 1), default=0)
    size = _fitting([repeats[key] for key in buckets if even[key]], smallest) if smallest else 0
    found = []
    for key, pages in buckets.items():
        count = ceil_div(repeats[key], size) if size and even[key] else 1
        for index in range(count):
            members = tuple((tuple(sorted(layers)[index::count]), page) for page, layers in pages.items())
            found.append(Group(members, blocks[key]))
    return tuple(found)


def _fitting(counts: list[int], smallest: int) -> int:
    """The size that counts are filled up to multiples of with the least left empty; of equal ones the largest."""
    sizes = range(smallest, max(max(counts), smallest) + 1)
    return min(sizes, key=lambda size: (sum(-count % size for count in counts), -size))


def _with_page(cache: LayerCache, page: int) -> LayerCache:
    """A longer block where the page is a multiple of the layer's, otherwise padding; a state is always padded."""
    ratio, left = divmod(page, cache.page_bytes)
    longer = cache.block_size * ratio if left == 0 else cache.block_size
    return replace(cache, page_bytes=page, block_size=longer)


def _split(cache: LayerCache, layers: list[int], size: int) -> list[Group]:
    """Every count-th layer goes to one group, so that pipeline stages get their share of each."""
    count = ceil_div(len(layers), size)
    return [Group(((tuple(layers[index::count]), cache.page_bytes),), cache.blocks) for index in range(count)]


def _group_size(counts: list[int]) -> int:
    smallest, largest = min(counts), max(counts)
    return largest if largest < smallest * _GROUP_STRETCH else smallest
