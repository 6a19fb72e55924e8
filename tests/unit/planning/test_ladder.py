"""Which fallbacks are given up together, in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.api.choices import Fallback, Precision
from modelserving.planning.ladder import AS_ASKED, Rung, rungs, widest

FP8, INT4, KV = Fallback.FP8, Fallback.INT4, Fallback.FP8_KV_CACHE
OFFLOAD, SHORTER, EAGER = Fallback.CPU_OFFLOAD, Fallback.SHORTER_CONTEXT, Fallback.EAGER
some = st.lists(st.sampled_from(Fallback), unique=True, min_size=1)


def everything(fallbacks: tuple[Fallback, ...]) -> list[tuple[Fallback, ...]]:
    return [rung.given_up for count in range(1, len(fallbacks) + 1) for rung in rungs(fallbacks[:count])]


@pytest.mark.parametrize(
    ("fallbacks", "order"),
    [
        ((FP8,), [(FP8,)]),
        ((FP8, KV), [(FP8,), (KV,), (FP8, KV)]),
        ((FP8, INT4), [(FP8,), (INT4,)]),
        (
            (OFFLOAD, SHORTER, EAGER),
            [
                (OFFLOAD,),
                (SHORTER,),
                (OFFLOAD, SHORTER),
                (EAGER,),
                (OFFLOAD, EAGER),
                (SHORTER, EAGER),
                (OFFLOAD, SHORTER, EAGER),
            ],
        ),
    ],
)
def test_a_later_fallback_comes_only_after_every_set_of_earlier_ones(
    fallbacks: tuple[Fallback, ...], order: list[tuple[Fallback, ...]]
) -> None:
    assert everything(fallbacks) == order


@given(some)
def test_every_set_that_goes_together_is_tried_once(fallbacks: list[Fallback]) -> None:
    tried = everything(tuple(fallbacks))
    assert len(set(tried)) == len(tried)
    others = [one for one in fallbacks if one.value not in ("fp8", "int8", "int4")]
    assert len(tried) == (len(fallbacks) - len(others) + 1) * 2 ** len(others) - 1


@given(some)
def test_whatever_is_tried_is_part_of_a_widest_rung(fallbacks: list[Fallback]) -> None:
    wide = [set(rung.given_up) for rung in widest(fallbacks)]
    assert all(any(set(rung) <= one for one in wide) for rung in everything(tuple(fallbacks)))


def test_a_precision_that_is_given_up_replaces_the_one_asked_for() -> None:
    assert Rung((KV, FP8)).precision(Precision.BF16) is Precision.FP8
    assert Rung((KV,)).precision(Precision.BF16) is Precision.BF16
    assert AS_ASKED.precision(Precision.AUTO) is Precision.AUTO
