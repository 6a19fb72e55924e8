"""The planner's choice made the slow way: every candidate there is, checked one by one, compared by the rules of docs/deciding.md.

Written apart from `modelserving.planning`: of it only the request is used. Rules of vLLM and bytes come from `engine` and `sizing`, which
tests of their own hold against vLLM.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from modelserving.api.choices import Fallback
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.engine.batching import BatchFlags, batch_sizes
from modelserving.engine.config import EngineConfig, EngineRefusal
from modelserving.engine.defaults import batch_defaults, resolve_dtype
from modelserving.engine.device import Gpu
from modelserving.engine.quantization import on_the_fly_method
from modelserving.engine.rules import refusal
from modelserving.engine.versions import engine_version
from modelserving.models.facts import ModelFacts
from modelserving.planning.request import PlanRequest
from modelserving.sizing.memory import estimate

MOST_NODES = 16
WHOLE = (Fallback.FP8, Fallback.FP8_KV_CACHE, Fallback.EAGER)


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """A way to serve a model, ordered as it is preferred: fallbacks, kind of layout, nodes, GPUs, GPU memory, stages, engines,
    experts."""

    fallbacks: tuple[int, ...]
    tier: int
    is_busy: bool
    nodes: int
    gpus: int
    gpu_memory: int
    stages: int
    engines: int
    whole_experts: bool
    left_on_node: int
    product: str


def best(request: PlanRequest, facts: ModelFacts, snapshot: ClusterSnapshot) -> Way | None:
    """Choose among all ways that vLLM would start and that fit; None where there is none."""
    ways = [way for given_up in _sets(request.fallbacks) for way in _ways(request, facts, snapshot, given_up)]
    return min(ways, default=None)


def _sets(fallbacks: tuple[Fallback, ...]) -> Iterator[tuple[int, ...]]:
    """Places of fallbacks given up together, written so that comparing them compares how late the last one is."""
    for count in range(len(fallbacks) + 1):
        for chosen in combinations(range(len(fallbacks)), count):
            yield tuple(1 if place in chosen else 0 for place in reversed(range(len(fallbacks))))


def _ways(request: PlanRequest, facts: ModelFacts, snapshot: ClusterSnapshot, places: tuple[int, ...]) -> Iterator[Way]:
    given_up = frozenset(fallback for fallback, taken in zip(reversed(request.fallbacks), places, strict=True) if taken)
    length = request.context_length or facts.max_model_len
    used = Counter[str]()
    for pod in snapshot.pods:
        used[pod.node] += pod.gpus
    products: dict[str, list[tuple[int, int]]] = {}
    gpus: dict[str, Gpu] = {}
    for node in snapshot.nodes:
        if node.gpu is not None and node.gpu_count:
            products.setdefault(node.gpu.product, []).append((node.gpu_count, max(0, node.gpu_count - used[node.name])))
            gpus[node.gpu.product] = node.gpu
    for product, nodes in products.items():
        for spread in range(1, min(len(nodes), MOST_NODES) + 1):
            for a_node in range(1, max(count for count, _ in nodes) + 1):
                if sum(count >= a_node for count, _ in nodes) < spread:
                    continue
                total = spread * a_node
                if total > (request.max_gpus_per_replica or total):
                    continue
                for cut in _cuts(facts, spread, a_node):
                    ranks, stages, engines = cut
                    experts = (False, True) if facts.experts and ranks > 1 else (False,)
                    for whole in experts if engines == 1 else (True,):
                        if not _fits(facts, gpus[product], length, request.concurrency, given_up, cut, whole):
                            continue
                        free = [room for _, room in nodes]
                        started = sum(room // a_node for room in free) // spread
                        yield Way(
                            places,
                            _tier(spread, a_node, ranks, stages),
                            started < request.replicas,
                            spread,
                            total,
                            total * gpus[product].memory_total_bytes,
                            stages,
                            engines,
                            whole,
                            min((room - a_node for room in free if room >= a_node), default=max(c for c, _ in nodes)),
                            product,
                        )


def _cuts(facts: ModelFacts, nodes: int, a_node: int) -> Iterator[tuple[int, int, int]]:
    """Ranks, stages and engines that so many GPUs can be: engines only on one node, without stages, of a model with experts.

    Engines of several GPUs only where it is known what each of those holds of the shared experts.
    """
    total = nodes * a_node
    modules = [module for section in facts.sections for module in section.modules]
    unknown = any("shared_expert" in module.name and not module.whole_for_tokens for module in modules)
    for engines in range(1, total + 1 if facts.experts and nodes == 1 else 2):
        for ranks in range(1, total // engines + 1):
            stages = total // (engines * ranks)
            if engines * ranks * stages != total or (ranks % a_node and a_node % ranks) or 1 not in (engines, stages):
                continue
            if engines == 1 or ranks == 1 or not unknown:
                yield ranks, stages, engines


def _tier(nodes: int, a_node: int, ranks: int, stages: int) -> int:
    if nodes == 1:
        return 0 if stages == 1 else 1
    if ranks > a_node:
        return 4
    return 2 if stages == nodes else 3


@cache
def _fits(
    facts: ModelFacts,
    gpu: Gpu,
    length: int,
    concurrency: int,
    given_up: frozenset[Fallback],
    cut: tuple[int, int, int],
    whole: bool,
) -> bool:
    ranks, stages, engines = cut
    version = engine_version("0.32.0")
    dtype = resolve_dtype(facts, "auto", gpu)
    quantization = on_the_fly_method("fp8", gpu, version) if Fallback.FP8 in given_up else None
    sequences = max(batch_defaults(version, gpu)[1], -(-concurrency // engines))
    sizes = batch_sizes(facts, version, gpu, length, BatchFlags(max_num_seqs=sequences))
    if isinstance(dtype, EngineRefusal) or isinstance(quantization, EngineRefusal) or isinstance(sizes, EngineRefusal):
        return False
    config = EngineConfig(
        max_model_len=length,
        max_num_seqs=sequences,
        max_num_batched_tokens=max(sizes[0], sequences),
        gpu_memory_utilization=version.gpu_memory_utilization,
        dtype=dtype,
        quantization=quantization,
        kv_cache_dtype="fp8" if Fallback.FP8_KV_CACHE in given_up else "auto",
        tensor_parallel_size=ranks,
        pipeline_parallel_size=stages,
        data_parallel_size=engines,
        enable_expert_parallel=whole,
        enforce_eager=Fallback.EAGER in given_up,
    )
    return refusal(facts, config, gpu, version) is None and estimate(facts, config, gpu, version, concurrency).fits
