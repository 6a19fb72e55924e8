"""A candidate that gives something up by degrees: how little of it does."""

from dataclasses import replace

from modelserving.api.choices import Fallback
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.versions import EngineVersion
from modelserving.planning.candidates import Candidate
from modelserving.planning.degrees import (
    OFFLOAD_STEP,
    Degrees,
    batch_steps,
    context_steps,
    largest,
    least,
    offload_bytes,
)
from modelserving.planning.evaluation import (
    INSUFFICIENT_HOST_MEMORY,
    Evaluated,
    engine_config,
    evaluate,
    host_memory_per_node,
)
from modelserving.planning.plan import Rejected
from modelserving.planning.request import PlanRequest
from modelserving.sizing.budget import MemoryEstimate
from modelserving.sizing.memory import estimate
from modelserving.units import ceil_div


def at_most(request: PlanRequest, candidate: Candidate, version: EngineVersion) -> Evaluated | Rejected:
    """Check a candidate with the most of what its rung gives up by degrees."""
    plain = evaluate(request, candidate, version)
    if isinstance(plain, Evaluated) or (plain.shortfall_bytes <= 0 and plain.reason != INSUFFICIENT_HOST_MEMORY):
        return plain
    return evaluate(request, candidate, version, _most_degrees(request, candidate, version))


def matches(request: PlanRequest, candidate: Candidate, version: EngineVersion, least: Evaluated) -> bool:
    """Whether a candidate may give up as little of the last resort as another does: it passes with the most of all else."""
    last = candidate.rung.by_degrees[-1]
    plain = evaluate(request, candidate, version)
    if isinstance(plain, Rejected) and plain.shortfall_bytes <= 0 and plain.reason != INSUFFICIENT_HOST_MEMORY:
        return False
    degrees = _most_degrees(request, candidate, version)
    degrees = degrees.with_steps(last, min(least.degrees.of(last), degrees.of(last)))
    return isinstance(evaluate(request, candidate, version, degrees), Evaluated)


def _most_degrees(request: PlanRequest, candidate: Candidate, version: EngineVersion) -> Degrees:
    degrees = Degrees()
    # The batch that can be halved depends on the context, the offload on what the rest takes: in this order.
    for fallback in (Fallback.SHORTER_CONTEXT, Fallback.SMALLER_BATCHES, Fallback.CPU_OFFLOAD):
        if fallback in candidate.rung.by_degrees:
            degrees = degrees.with_steps(fallback, _most(fallback, request, candidate, version, degrees))
    return degrees


def settle(request: PlanRequest, candidate: Candidate, version: EngineVersion) -> Evaluated | Rejected:
    """Check a candidate with the least of what its rung gives up by degrees."""
    settled = at_most(request, candidate, version)
    if isinstance(settled, Rejected):
        return settled
    for fallback in reversed(candidate.rung.by_degrees):
        settled = _with_less(request, candidate, version, settled, fallback)
    return settled


def _with_less(
    request: PlanRequest, candidate: Candidate, version: EngineVersion, settled: Evaluated, fallback: Fallback
) -> Evaluated:
    """The same candidate with as little of one fallback as does, all others being as they are."""
    given = settled.degrees

    def passes(steps: int) -> bool:
        return isinstance(evaluate(request, candidate, version, given.with_steps(fallback, steps)), Evaluated)

    fewest = least(passes, given.of(fallback))
    outcome = evaluate(request, candidate, version, given.with_steps(fallback, fewest))
    return outcome if isinstance(outcome, Evaluated) else settled


def given_up(outcome: Evaluated) -> tuple[int, ...]:
    """How much is given up, the last resort first: less of what the user put later comes first."""
    return tuple(outcome.degrees.of(fallback) for fallback in reversed(outcome.candidate.rung.by_degrees))


def _most(
    fallback: Fallback, request: PlanRequest, candidate: Candidate, version: EngineVersion, degrees: Degrees
) -> int:
    facts = candidate.method.facts
    if fallback is Fallback.SHORTER_CONTEXT:
        return context_steps(request, facts)
    config = engine_config(request, candidate, version, degrees)
    if isinstance(config, EngineRefusal):
        return 0
    if fallback is Fallback.SMALLER_BATCHES:
        tokens, sequences = config.max_num_batched_tokens, config.max_num_seqs
        return batch_steps(request, facts, config.max_model_len, tokens, sequences)
    weights = max(rank.weights.value for rank in _memory(request, candidate, config, version, 0).ranks)
    everything = ceil_div(weights, OFFLOAD_STEP)
    hold = candidate.shape.host_memory_bytes

    def held(steps: int) -> bool:
        memory = _memory(request, candidate, config, version, steps)
        return host_memory_per_node(candidate, memory) <= hold

    return everything if held(everything) else largest(held, everything)


def _memory(
    request: PlanRequest, candidate: Candidate, config: EngineConfig, version: EngineVersion, offload: int
) -> MemoryEstimate:
    offloaded = replace(config, cpu_offload_bytes=offload_bytes(request, Degrees(offload=offload)))
    facts, gpu = candidate.method.facts, candidate.shape.gpu
    return estimate(facts, offloaded, gpu, version, request.concurrency)
