"""What can be given up little by little: weights in host memory, a shorter context, smaller batches. As little of each as does.

    offload   whole GiB a GPU beyond what was asked for
    context   steps of 1,024 tokens below what was asked for, down to 2,048
    batches   halvings of max_num_batched_tokens and max_num_seqs, down to 512 tokens and what is to run at once

More of any never needs more GPU memory, so the least that does is found by bisection, the last resort first: what the user put later
is given up by less at the expense of what was put earlier.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from modelserving.api.choices import Fallback
from modelserving.engine.batching import smallest_batch
from modelserving.models.facts import ModelFacts
from modelserving.planning.request import PlanRequest
from modelserving.units import GIB, ceil_div

OFFLOAD_STEP = GIB
CONTEXT_STEP = 1024
# Ours: below it a chat has no room for a document and an answer, and a plan would be one in name only.
SHORTEST_CONTEXT = 2048
# Ours: a quarter of vLLM's smallest default (engine/arg_utils.py, 2048); prefill falls to a crawl below it.
SMALLEST_BATCH = 512
# Sequences in a batch that halving stops at, unless more are to run at once: vLLM captures its small graphs up to it.
FEWEST_SEQUENCES = 16


@dataclass(frozen=True, slots=True)
class Degrees:
    """How much is given up, in steps; 0 is nothing."""

    offload: int = 0
    context: int = 0
    batches: int = 0

    def of(self, fallback: Fallback) -> int:
        """Steps of one fallback."""
        steps: int = getattr(self, _FIELDS[fallback])
        return steps

    def with_steps(self, fallback: Fallback, steps: int) -> "Degrees":
        """The same with other steps of one fallback."""
        return replace(self, **{_FIELDS[fallback]: steps})


NOTHING = Degrees()
_FIELDS = {
    Fallback.CPU_OFFLOAD: "offload",
    Fallback.SHORTER_CONTEXT: "context",
    Fallback.SMALLER_BATCHES: "batches",
}


def context_length(request: PlanRequest, facts: ModelFacts, degrees: Degrees) -> int:
    """Tokens of a request."""
    asked = request.context_length or facts.max_model_len
    if not degrees.context:
        return asked
    rounded = ceil_div(asked, CONTEXT_STEP) * CONTEXT_STEP
    return max(rounded - degrees.context * CONTEXT_STEP, SHORTEST_CONTEXT)


def context_steps(request: PlanRequest, facts: ModelFacts) -> int:
    """Steps by which a context can be shortened."""
    asked = request.context_length or facts.max_model_len
    return max(0, ceil_div(asked, CONTEXT_STEP) - SHORTEST_CONTEXT // CONTEXT_STEP)


def offload_bytes(request: PlanRequest, degrees: Degrees) -> int:
    """Weights of each GPU that live in host memory."""
    return request.cpu_offload_bytes + degrees.offload * OFFLOAD_STEP


def smaller(
    request: PlanRequest, facts: ModelFacts, length: int, tokens: int, sequences: int, degrees: Degrees
) -> tuple[int, int]:
    """(max_num_batched_tokens, max_num_seqs), halved as often as is given up."""
    for _ in range(degrees.batches):
        tokens, sequences = _halved(request, facts, length, tokens, sequences)
    return tokens, sequences


def batch_steps(request: PlanRequest, facts: ModelFacts, length: int, tokens: int, sequences: int) -> int:
    """Times that a batch can be halved."""
    steps = 0
    while (fewer := _halved(request, facts, length, tokens, sequences)) != (tokens, sequences):
        tokens, sequences = fewer
        steps += 1
    return steps


def _halved(request: PlanRequest, facts: ModelFacts, length: int, tokens: int, sequences: int) -> tuple[int, int]:
    fewest = max(FEWEST_SEQUENCES, request.concurrency)
    sequences = min(sequences, max(sequences // 2, fewest))
    least = max(SMALLEST_BATCH, sequences, smallest_batch(facts, length))
    return min(tokens, max(tokens // 2, least)), sequences


def least(passes: Callable[[int], bool], most: int) -> int:
    """The fewest steps up to `most` that pass, given that `most` does and that more never hurts."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle + 1, high)
    return high


def largest(passes: Callable[[int], bool], most: int) -> int:
    """The most steps up to `most` that pass, given that more never helps; 0 where none does."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if passes(middle) else (low, middle - 1)
    return low
