"""Layers that keep different things, over one pool of blocks; vLLM's own figures are in tests/conformance."""

from modelserving.models.facts import AttentionKind
from modelserving.sizing.kv_groups import LayerCache, groups

LENGTH = 1000
FULL = LayerCache(AttentionKind.FULL, 16, 4096, LENGTH, 0)
SLIDING = LayerCache(AttentionKind.SLIDING_WINDOW, 16, 4096, 100, 1, window=64)
LATENT = LayerCache(AttentionKind.MLA, 16, 1152, LENGTH, 0)
STATE = LayerCache(AttentionKind.MAMBA, 0, 4096, 0, 2)


def test_nothing_kept_makes_no_group() -> None:
    assert groups(()) == ()


def test_layers_that_keep_the_whole_context_share_a_group_whatever_their_pages() -> None:
    (only,) = groups(((FULL, (0, 1)), (LATENT, (2, 3, 4))))
    assert only.bytes_per_block(range(5)) == 2 * 4096 + 3 * 1152
    assert only.bytes_per_block(range(1, 3)) == 4096 + 1152
    assert only.blocks == 63


def test_kinds_are_cut_into_groups_as_large_as_the_smallest() -> None:
    found = groups(((SLIDING, tuple(range(10))), (FULL, (10, 11))))
    assert [len(group.members[0][0]) for group in found] == [2] * 6
    assert [group.blocks for group in found] == [8] * 5 + [63]
    # Every group has a layer on each half of the model.
    assert all(group.bytes_per_block(range(5)) == 4096 for group in found[:5])


def test_kinds_of_nearly_the_same_size_are_padded() -> None:
    found = groups(((SLIDING, tuple(range(5))), (FULL, tuple(range(5, 11)))))
    assert [len(group.members[0][0]) for group in found] == [5, 6]


def test_a_smaller_page_gets_a_longer_block_where_that_fits() -> None:
    small = LayerCache(AttentionKind.SLIDING_WINDOW, 16, 1024, 100, 1, window=64)
    slid, full = groups(((small, (0,)), (FULL, (1,))))
    assert slid.bytes_per_block(range(2)) == full.bytes_per_block(range(2)) == 4096
    assert slid.blocks == 3


def test_a_page_that_does_not_divide_is_padded() -> None:
    odd = LayerCache(AttentionKind.SLIDING_WINDOW, 16, 3000, 100, 1, window=64)
    slid, _ = groups(((odd, (0,)), (FULL, (1,))))
    assert slid.bytes_per_block(range(2)) == 4096
    assert slid.blocks == 8


def test_a_state_takes_its_blocks_whatever_the_length() -> None:
    found = groups(((STATE, (0, 1, 2)), (FULL, (3,))))
    assert [group.blocks for group in found] == [2, 2, 2, 63]


def test_states_alone_share_one_group() -> None:
    (only,) = groups(((STATE, (0, 1, 2)),))
    assert (only.blocks, only.bytes_per_block(range(3))) == (2, 3 * 4096)
