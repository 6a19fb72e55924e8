"""The memory budget of a replica, as values: what each GPU holds, term by term, and what is left for the KV cache."""

from dataclasses import dataclass
from math import isqrt


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the budget.

    Attributes:
        value: bytes, best estimate.
        low: bytes, lower end of the band.
        high: bytes, upper end of the band.
        source: formula or measurement it comes from, in a few words.
    """

    value: int
    low: int
    high: int
    source: str

    @classmethod
    def exact(cls, value: int, source: str) -> "Term":
        """A term without a band."""
        return cls(value, value, value, source)


def combined_margins(terms: tuple[Term, ...]) -> tuple[int, int]:
    """How much less and how much more than their best estimates terms take together, at the ends of their bands.

    The terms err independently of each other (weights by layout, activations by kernel, graphs by capture, non-torch by
    driver), so their margins add as the root of the sum of squares.
    """
    below = isqrt(sum((term.value - term.low) ** 2 for term in terms))
    return below, isqrt(sum((term.high - term.value) ** 2 for term in terms))


@dataclass(frozen=True, slots=True)
class KvCacheNeed:
    """What the KV cache needs on the fullest rank. All sizes in bytes per rank.

    Attributes:
        block_size: tokens in a block.
        bytes_per_block: bytes one block takes on a rank, over all its layers.
        one_request_bytes: bytes one request of max_model_len tokens needs.
        min_bytes_to_start: what vLLM's start-up check demands.
        requested_bytes: what contextLength x concurrency asks for, the null block included.
    """

    block_size: int
    bytes_per_block: int
    one_request_bytes: int
    min_bytes_to_start: int
    requested_bytes: int


@dataclass(frozen=True, slots=True)
class RankMemory:
    """GPU memory of the tensor ranks of one pipeline stage (they are alike).

    Attributes:
        weights: what stays on the GPU, offloaded weights not counted.
        kv_cache_available: bytes left for the KV cache inside the budget at the best estimate; negative when the rest alone is too much.
        kv_cache_available_low: the same with the terms at the upper end of their bands.
        kv_cache_available_high: the same with the terms at the lower end of their bands.
        offloaded_bytes: weights this rank keeps in host memory.
        load_peak_bytes: highest demand while weights are loaded and quantized.
        graphs_captured: what CUDA graphs really take; `cuda_graphs` is what is set aside for them.
        peak_span: the logged peak with the bands of several versions, where no version was named.
        graphs_in_peak: whether vLLM logs what it sets aside for graphs within the activation peak.
        graphs_outside_bytes: CUDA graphs that this version captures outside the budget, in the memory that it leaves free.
    """

    pipeline_rank: int
    weights: Term
    activation_peak: Term
    cuda_graphs: Term
    non_torch: Term
    kv_cache_available: int
    kv_cache_available_low: int
    offloaded_bytes: int = 0
    load_peak_bytes: int = 0
    kv_cache_available_high: int = 0
    graphs_captured: Term = Term(0, 0, 0, "")
    peak_span: Term | None = None
    graphs_in_peak: bool = False
    graphs_outside_bytes: int = 0

    @property
    def logged_peak(self) -> Term:
        """The activation peak as vLLM logs it: on the V2 runner with what is set aside for CUDA graphs in it."""
        if self.peak_span is not None:
            return self.peak_span
        if not self.graphs_in_peak or self.cuda_graphs.high == 0:
            return self.activation_peak
        parts = (self.activation_peak, self.cuda_graphs)
        value, (below, above) = sum(part.value for part in parts), combined_margins(parts)
        source = f"{self.activation_peak.source}, and what is set aside for CUDA graphs"
        return Term(value, value - below, value + above, source)

    @property
    def logged_set_aside(self) -> Term:
        """What is set aside for CUDA graphs beside the logged activation peak."""
        return Term.exact(0, "within the activation peak") if self.graphs_in_peak else self.cuda_graphs

    @property
    def without_kv_cache(self) -> int:
        """Bytes of everything but the KV cache, at the best estimate."""
        return self.weights.value + self.activation_peak.value + self.cuda_graphs.value + self.non_torch.value


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Memory of one replica.

    Attributes:
        ranks: one entry per pipeline stage.
        total_bytes: what one GPU reports as its total.
        budget_bytes: what vLLM may use of it: ceil(total x gpu_memory_utilization).
        kv_cache: what the KV cache needs.
        kv_cache_tokens: tokens of the resulting pool, as vLLM logs them ("GPU KV cache size"), of all data-parallel engines
            together; 0 if it does not fit.
        max_concurrency: requests of max_model_len tokens that fit at once.
        host_memory_bytes: host memory one replica's processes need on its node, offloaded weights included.
        assumptions: sentences on what was assumed for want of facts.
    """

    ranks: tuple[RankMemory, ...]
    total_bytes: int
    budget_bytes: int
    kv_cache: KvCacheNeed
    kv_cache_tokens: int
    max_concurrency: float
    host_memory_bytes: int
    assumptions: tuple[str, ...] = ()

    @property
    def tightest_rank(self) -> RankMemory:
        """The rank with the least room for the KV cache."""
        return min(self.ranks, key=lambda rank: rank.kv_cache_available_low)

    @property
    def shortfall_bytes(self) -> int:
        """Bytes missing on the tightest rank for what was asked; 0 or less means it fits, bands included."""
        return (
            max(self.kv_cache.requested_bytes, self.kv_cache.min_bytes_to_start)
            - self.tightest_rank.kv_cache_available_low
        )

    @property
    def fits(self) -> bool:
        """Whether what was asked for fits on every rank."""
        return self.shortfall_bytes <= 0
