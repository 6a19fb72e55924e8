"""A rank's share of a module."""

import pytest

from modelserving.engine.shares import Share, local_heads, padded_vocabulary, section_ranks, share
from modelserving.models.facts import Module, Section, Split, Stage

QKV = Module("qkv", Split.QKV, 64, (64, 16, 16), bias=True, heads=(8, 2, 2))
GATE_UP = Module("gate_up", Split.COLUMN, 64, (96, 96), bias=True)
DOWN = Module("down", Split.ROW, 96, (64,), bias=True)
NORM = Module("norm", Split.REPLICATED, 1, (64,))
EMBEDDING = Module("embed", Split.VOCAB, 64, (1000,))


@pytest.mark.parametrize(
    ("module", "ranks", "expected"),
    [
        (QKV, 1, Share((64, 16, 16), 64, 96)),
        (QKV, 2, Share((32, 8, 8), 64, 48)),
        (QKV, 4, Share((16, 8, 8), 64, 32)),
        (GATE_UP, 4, Share((24, 24), 64, 48)),
        (DOWN, 4, Share((64,), 24, 64)),
        (NORM, 4, Share((64,), 1)),
        (EMBEDDING, 4, Share((256,), 64)),
    ],
    ids=["whole", "heads split", "KV heads repeated", "merged parts split", "inputs split", "replicated", "vocabulary"],
)
def test_shares(module: Module, ranks: int, expected: Share) -> None:
    assert share(module, ranks) == expected


def test_sizes() -> None:
    assert padded_vocabulary(151646) == 151680
    assert padded_vocabulary(128256) == 128256
    assert local_heads(8, 4) == 2
    assert local_heads(2, 8) == 1


def test_towers_whose_heads_do_not_divide_stay_whole() -> None:
    tower = Section(Stage.EVERY, (NORM,), shard_heads=16)
    assert section_ranks(tower, 8) == 8
    assert section_ranks(tower, 12) == 1
    assert section_ranks(Section(Stage.FIRST, (EMBEDDING,)), 12) == 12


MIXER = Module("in_proj", Split.GROUPED, 64, (128, 16, 16, 8), heads=(8, 2, 2, 8))
EXPERTS = Module("experts.w13", Split.COLUMN, 64, (96, 96), bias=True, experts=10)


def test_groups_of_a_mixer_are_cut_and_the_only_one_is_repeated() -> None:
    assert share(MIXER, 2).rows == (64, 8, 8, 4)
    single = Module("in_proj", Split.GROUPED, 64, (128, 16, 16, 8), heads=(8, 1, 1, 8))
    assert share(single, 4).rows == (32, 16, 16, 2)


def test_experts_are_cut_or_shared_out() -> None:
    cut = share(EXPERTS, 4)
    assert (cut.rows, cut.columns, cut.experts, cut.bias) == ((24, 24), 64, 10, 10 * 48)
    assert cut.elements == 10 * 48 * 64
    whole = share(EXPERTS, 4, expert_parallel=True)
    assert (whole.rows, whole.experts, whole.bias) == ((96, 96), 3, 3 * 192)


def test_what_nobody_described_is_cut_evenly() -> None:
    assert share(Module("x", Split.EVEN, 1, (10,)), 4).rows == (3,)


def test_towers_are_whole_when_asked() -> None:
    tower = Section(Stage.EVERY, (NORM,), tower=True)
    assert section_ranks(tower, 4) == 4
    assert section_ranks(tower, 4, whole_towers=True) == 1
