"""Sentences: what was decided and why, what would work instead."""

from collections.abc import Sequence

from modelserving.api.reasons import Reason
from modelserving.cluster.capacity import NodeShape
from modelserving.cluster.declared import DeclaredShape
from modelserving.cluster.nvidia import PRODUCT_LABEL
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.engine.config import EngineConfig
from modelserving.planning.checkpoints import Method
from modelserving.planning.evaluation import Evaluated
from modelserving.planning.layouts import Tier
from modelserving.planning.placing import obstacle_of
from modelserving.planning.plan import Rejected, Rejection, Remedy
from modelserving.planning.remedies import achieved
from modelserving.planning.request import PlanRequest
from modelserving.units import ceil_div, format_gib

# What engine.rules refuses a model by that vLLM has no class for.
ARCHITECTURE_NOT_SUPPORTED = "ArchitectureNotSupported"
# What is against candidates that would run if only their pods could start.
_NEVER_STARTED = (Reason.NODES_TOO_SMALL, Reason.OVER_QUOTA)
# Nodes named in a message before the rest is only counted.
_NODES_NAMED = 3


def decision(request: PlanRequest, chosen: Evaluated) -> str:
    """Say in one sentence what will run."""
    method, config, memory = chosen.candidate.method, chosen.config, chosen.memory
    rank = memory.tightest_rank
    if config.quantization:
        how = f"{config.quantization} while loading"
    else:
        how = "as stored" if chosen.stored else f"stored in {method.facts.stored_precision}"
    layout = chosen.candidate.layout
    parallel = f", tensor parallel {config.tensor_parallel_size}" if config.tensor_parallel_size > 1 else ""
    parallel += f", pipeline parallel {config.pipeline_parallel_size}" if config.pipeline_parallel_size > 1 else ""
    parallel += f" over {layout.nodes} nodes" if layout.nodes > 1 else ""
    parallel += ", whole experts on each GPU" if layout.whole_experts else ""
    engines = config.data_parallel_size
    parallel += f", {engines} engines that share the requests" if engines > 1 else ""
    product = chosen.candidate.shape.gpu.product
    spare = format_gib(max(0, rank.kv_cache_available - memory.kv_cache.requested_bytes))
    length = f"{requests(request.concurrency, config)}{config.max_model_len:,} tokens"
    return (
        f"{method.facts.model} in {chosen.precision} ({how}) on {config.world_size} × {product}{parallel}: each GPU holds "
        f"{format_gib(rank.weights.value)} of weights and {format_gib(memory.kv_cache.requested_bytes)} of KV cache for "
        f"{length}, with {spare} to spare of {format_gib(memory.budget_bytes)}.{_given_up(chosen)}"
    )


def requests(concurrency: int, config: EngineConfig) -> str:
    """Say how many requests a GPU keeps the cache of: where engines share them out, a part of all."""
    engines = config.data_parallel_size
    part = f"{ceil_div(concurrency, engines)} of " if engines > 1 and concurrency > 1 else ""
    return f"{part}{concurrency} × "


def _given_up(chosen: Evaluated) -> str:
    """Say which of the user's fallbacks were taken, as a sentence; empty where none was."""
    given_up = chosen.candidate.rung.given_up
    return f" As spec.fallbacks allows, it takes {', '.join(given_up)}{achieved(chosen)}." if given_up else ""


def cautions(chosen: Evaluated) -> tuple[str, ...]:
    """Say what a user should know of the layout, in sentences."""
    layout = chosen.candidate.layout
    if layout.data_parallel_size > 1:
        engines = (
            f"{layout.data_parallel_size} engines share the requests out (data parallel): each answers with its own GPUs alone, so an "
            "answer comes later than with tensor parallelism, and more requests fit at once."
        )
        return (engines,)
    if layout.tier is Tier.STAGES_ON_A_NODE:
        takes_turns = (
            "The GPUs take turns on each request (pipeline parallel), since no tensor parallel size alone does: answers "
            "come later than with tensor parallelism, throughput is kept where several requests run at once."
        )
        return (takes_turns,)
    if layout.tier is Tier.ACROSS_NODES:
        return ("Layers are cut over the network between nodes: without RDMA every token waits for it.",)
    return ()


def no_nodes(request: PlanRequest, snapshot: ClusterSnapshot, shapes: Sequence[NodeShape]) -> Rejection:
    """Explain why there is no node to consider at all, neither one that exists nor one that is declared."""
    found = _no_nodes_that_exist(request, snapshot, shapes)
    declared = "; ".join(f"{shape.name}: {_against(request, shape)}" for shape in snapshot.declared)
    if not declared:
        return found
    return Rejection(found.reason, f"{found.message} Nor will any that can be made do: {declared}.")


def no_layout(request: PlanRequest, shapes: Sequence[NodeShape]) -> Rejection:
    """Explain why nodes are there and none of them can be made use of as is asked."""
    asked = {
        "spec.gpu.tensorParallelSize": request.tensor_parallel_size,
        "spec.gpu.pipelineParallelSize": request.pipeline_parallel_size,
        "spec.gpu.maxPerReplica": request.max_gpus_per_replica,
    }
    stated = " with ".join(f"{field} {value}" for field, value in asked.items() if value is not None)
    most = max(shape.max_devices_per_pod for shape in shapes)
    return Rejection(
        Reason.NO_GPU_NODES.value,
        f"No GPUs can be put together as {stated or 'a replica'} asks: the largest node gives one pod {most} of them.",
    )


def _against(request: PlanRequest, shape: DeclaredShape) -> str:
    """What keeps the pods off nodes of a declared shape."""
    why = shape.node.problem or obstacle_of(request, shape.node)
    others = sorted(shape.node.products - set(request.gpu_products)) if request.gpu_products else []
    return why or (f"has {', '.join(others)}" if others else f"there are {shape.max_nodes} of it already, its limit")


def _no_nodes_that_exist(request: PlanRequest, snapshot: ClusterSnapshot, shapes: Sequence[NodeShape]) -> Rejection:
    products = sorted({shape.gpu.product for shape in shapes})
    if request.gpu_products and not set(products) & set(request.gpu_products):
        asked = ", ".join(request.gpu_products)
        has = f"; usable nodes have {', '.join(products)}" if products else ""
        of_these = [node for node in snapshot.nodes if node.labels.get(PRODUCT_LABEL) in request.gpu_products]
        why = f": {_named(request, of_these)}" if of_these else ""
        return Rejection(
            Reason.NO_GPU_NODES.value, f"No usable node has a GPU of spec.gpu.products ({asked}){why}{has}."
        )
    with_gpus = [node for node in snapshot.nodes if node.gpu_count or node.problem]
    if not with_gpus:
        return Rejection(
            Reason.NO_GPU_NODES.value,
            f"None of {len(snapshot.nodes)} nodes has GPUs (allocatable nvidia.com/gpu). The resource is planned as soon as one appears.",
        )
    return Rejection(Reason.NO_GPU_NODES.value, f"No node with GPUs can take the pods: {_named(request, with_gpus)}.")


def _named(request: PlanRequest, nodes: Sequence[NodeFacts]) -> str:
    """Name a few nodes, each with what keeps the pods off it."""
    first = sorted(nodes, key=lambda node: node.name)[:_NODES_NAMED]
    more = f"; and {len(nodes) - _NODES_NAMED} more" if len(nodes) > _NODES_NAMED else ""
    return "; ".join(f"{node.name}: {obstacle_of(request, node)}" for node in first) + more


def rejection(
    request: PlanRequest,
    methods: Sequence[Method],
    rejected: Sequence[Rejected],
    sizes: str,
    remedies: tuple[Remedy, ...] = (),
) -> Rejection:
    """Put together why no candidate passed, naming the nearest one and what would help."""
    never_started = next((entry for entry in rejected if entry.reason in _NEVER_STARTED), None)
    if never_started is not None:
        message = f"{sizes}; {never_started.candidate} would do, but {never_started.message.removesuffix('.')}."
        return Rejection(str(never_started.reason), message, tuple(rejected))
    reasons = {(entry.reason, entry.message) for entry in rejected}
    if len(reasons) == 1 and rejected[0].reason != Reason.NOTHING_FITS:
        reason, message = reasons.pop()
        # What a model weighs matters to whom it is refused as a model, not to whom a field of the spec is refused.
        weighs = reason == ARCHITECTURE_NOT_SUPPORTED
        return Rejection(reason, f"{sizes}; {message}" if weighs else message, tuple(rejected[:1]))
    short_of_memory = [entry for entry in rejected if entry.shortfall_bytes > 0]
    if not short_of_memory:
        return Rejection(
            rejected[0].reason, f"{sizes}; {rejected[0].candidate}: {rejected[0].message}.", tuple(rejected)
        )
    nearest = min(short_of_memory, key=lambda entry: (entry.shortfall_bytes, entry.gpus, entry.candidate))
    length = request.context_length or methods[0].facts.max_model_len
    return Rejection(
        Reason.NOTHING_FITS.value,
        f"{sizes}; no node takes it with {request.concurrency} × {length:,} tokens. Nearest is {nearest.candidate}: {nearest.message}."
        f"{_would_help(remedies)}",
        tuple(rejected),
        remedies=remedies,
    )


def _would_help(remedies: Sequence[Remedy]) -> str:
    """Say what would help, as a sentence; empty where nothing known would."""
    if not remedies:
        return ""
    return " It would run with " + ", or ".join(f"{remedy.change} ({remedy.message})" for remedy in remedies) + "."
