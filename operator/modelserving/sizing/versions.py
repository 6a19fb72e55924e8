"""One estimate for no version in particular: the best estimate of one, bands that reach over those of others.

What a start takes changed with vLLM's versions by more than any band: the sampler that sorted until 0.16, CUDA graphs counted
since 0.20, the second model runner.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from modelserving.sizing.budget import MemoryEstimate, RankMemory, Term

# The first version after each turn that changes what a start takes (engine/versions.py).
TURNS = ("0.8.5", "0.11.0", "0.17.0", "0.18.0", "0.20.0", "0.25.0", "0.28.0", "0.33.0")


def widened(memory: MemoryEstimate, others: Iterable[MemoryEstimate]) -> MemoryEstimate:
    """An estimate with every band as wide as that of all estimates of the same stages."""
    alike = [other for other in others if len(other.ranks) == len(memory.ranks)]
    stages = zip(memory.ranks, *(other.ranks for other in alike), strict=True)
    return replace(memory, ranks=tuple(_rank(stage) for stage in stages))


def _rank(stage: Sequence[RankMemory]) -> RankMemory:
    return replace(
        stage[0],
        weights=_span([rank.weights for rank in stage]),
        activation_peak=_span([rank.activation_peak for rank in stage]),
        cuda_graphs=_span([rank.cuda_graphs for rank in stage]),
        non_torch=_span([rank.non_torch for rank in stage]),
        graphs_captured=_span([rank.graphs_captured for rank in stage]),
        peak_span=_span([rank.logged_peak for rank in stage]),
        kv_cache_available_low=min(rank.kv_cache_available_low for rank in stage),
        kv_cache_available_high=max(rank.kv_cache_available_high for rank in stage),
    )


def _span(terms: Sequence[Term]) -> Term:
    return replace(terms[0], low=min(term.low for term in terms), high=max(term.high for term in terms))
