"""What may be given up to make a model fit: the user's fallbacks, in the user's order, and never more of them than it takes.

A rung is a set of fallbacks that are given up together. Rungs are tried so that a later fallback comes only where no set of earlier
ones does: with [a, b, c] that is a, b, a+b, c, a+c, b+c, a+b+c. Two precisions of the weights exclude each other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelserving.api.choices import Fallback, Precision

# What a fallback makes of the precision of the weights.
_PRECISIONS = {
    Fallback.FP8: Precision.FP8,
    Fallback.INT8: Precision.INT8,
    Fallback.INT4: Precision.INT4,
}
# Given up by degrees, as little as does; the others are given up or not.
BY_DEGREES = (Fallback.CPU_OFFLOAD, Fallback.SHORTER_CONTEXT, Fallback.SMALLER_BATCHES)
# Refused by some GPUs (engine.cache_rules), or beside weights that are quantized while loading (engine.rules).
_MAY_BE_REFUSED = (Fallback.FP8_KV_CACHE, Fallback.CPU_OFFLOAD)


@dataclass(frozen=True, slots=True)
class Rung:
    """Fallbacks that are given up together, in the user's order; none: what was asked for."""

    given_up: tuple[Fallback, ...] = ()

    def precision(self, asked: Precision) -> Precision:
        """Precision of the weights on this rung."""
        return next((_PRECISIONS[one] for one in self.given_up if one in _PRECISIONS), asked)

    @property
    def by_degrees(self) -> tuple[Fallback, ...]:
        """Those of its fallbacks that are given up by degrees."""
        return tuple(one for one in self.given_up if one in BY_DEGREES)

    def __contains__(self, fallback: Fallback) -> bool:
        return fallback in self.given_up


AS_ASKED = Rung()


def widest(fallbacks: Sequence[Fallback]) -> Iterator[Rung]:
    """Rungs that give up as much of some fallbacks as may go together: whatever fits on another rung fits on one of these.

    vLLM refuses some of them on some GPUs or beside each other, whatever the memory; so there is a rung with and without each of those.
    """
    maybe = [one for one in fallbacks if one in _MAY_BE_REFUSED]
    for precision in (None, *(one for one in fallbacks if one in _PRECISIONS)):
        for chosen in range(2 ** len(maybe)):
            without = {one for bit, one in enumerate(maybe) if chosen >> bit & 1}
            others = [one for one in fallbacks if one not in _PRECISIONS and one not in without]
            yield Rung(tuple(one for one in fallbacks if one in others or one is precision))


def rungs(fallbacks: Sequence[Fallback]) -> Iterator[Rung]:
    """Every set of fallbacks that goes together and holds the last one, in the order it is tried."""
    *earlier, last = fallbacks
    for chosen in range(2 ** len(earlier)):
        given_up = (*(one for bit, one in enumerate(earlier) if chosen >> bit & 1), last)
        if sum(one in _PRECISIONS for one in given_up) <= 1:
            yield Rung(given_up)


def precisions(fallbacks: Sequence[Fallback]) -> tuple[Precision, ...]:
    """Precisions that some rung asks for."""
    return tuple(_PRECISIONS[one] for one in fallbacks if one in _PRECISIONS)
