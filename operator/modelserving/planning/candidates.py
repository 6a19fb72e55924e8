"""Candidates, and the order in which they are preferred: a method, a node shape, a layout, and what is given up for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from modelserving.cluster.capacity import NodeShape
from modelserving.engine.shares import shares_known
from modelserving.engine.versions import engine_version
from modelserving.planning.checkpoints import Method
from modelserving.planning.ladder import AS_ASKED, Rung
from modelserving.planning.layouts import MOST_NODES, ONE_GPU, Layout, Limits, Tier, as_engines, layouts
from modelserving.planning.request import PlanRequest

# First version whose code for data parallelism was read: earlier ones gathered otherwise, and the first had no CUDA graphs with it.
_ENGINES_READ = (0, 32, 0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to serve the model on one shape of node.

    Attributes:
        method: checkpoint and conversion.
        order: place of the method among those of its rung, best first.
        shape: kind of node.
        layout: spread over GPUs.
        rung: what is given up.
        cost: price of an hour where every shape has one, GPU memory in all where not.
    """

    method: Method
    order: int
    shape: NodeShape
    layout: Layout
    rung: Rung = AS_ASKED
    cost: float = 0.0

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.layout.gpus

    @property
    def label(self) -> str:
        """The candidate for a person."""
        layout = self.layout
        spread = f" on {layout.nodes} nodes" if layout.nodes > 1 else ""
        stages = f", {layout.pipeline_parallel_size} stages" if layout.pipeline_parallel_size > 1 else ""
        experts = ", whole experts" if layout.whole_experts else ""
        experts += f", {layout.data_parallel_size} engines" if layout.data_parallel_size > 1 else ""
        return f"{self.gpus} × {self.shape.gpu.product}{spread}{stages}{experts}"


def fewest_nodes(candidate: Candidate) -> int:
    """One node before several, few before many."""
    return candidate.layout.nodes


def fewest_gpus(candidate: Candidate) -> int:
    """Fewer GPUs first."""
    return candidate.gpus


def stored_first(candidate: Candidate) -> int:
    """A checkpoint as stored before one that is quantized at every start."""
    return candidate.order


def cheapest(candidate: Candidate) -> float:
    """The lower price first; without prices less GPU memory in all: the larger product stays free for what needs it."""
    return candidate.cost


def fastest_links(candidate: Candidate) -> int:
    """GPUs that reach each other over NVLink before those that do over PCIe, where several work together."""
    return 0 if candidate.layout.gpus_per_node == 1 else candidate.shape.interconnect.rank


def least_waiting_for_each_other(candidate: Candidate) -> int:
    """Tensor parallel before pipeline parallel."""
    return candidate.layout.pipeline_parallel_size


def fewest_engines(candidate: Candidate) -> int:
    """One engine before several, of which each answers a request with its own GPUs alone."""
    return candidate.layout.data_parallel_size


def cut_experts_first(candidate: Candidate) -> bool:
    """Experts cut over GPUs before whole experts, which are loaded unevenly."""
    return candidate.layout.whole_experts


def best_fit(candidate: Candidate) -> int:
    """The node that is left with the fewest GPUs first, so that big holes stay whole."""
    return candidate.shape.left_at_best(candidate.layout.gpus_per_node)


def name(candidate: Candidate) -> str:
    """Ties break on names, so that the order of nodes does not matter."""
    return candidate.shape.gpu.product


CRITERIA: tuple[Callable[[Candidate], float | str], ...] = (
    fewest_nodes,
    fewest_gpus,
    stored_first,
    cheapest,
    fastest_links,
    least_waiting_for_each_other,
    fewest_engines,
    cut_experts_first,
    best_fit,
    name,
)


def preference(candidate: Candidate) -> tuple[float | str, ...]:
    """Sort key over all criteria."""
    return tuple(criterion(candidate) for criterion in CRITERIA)


def enumerate_candidates(
    request: PlanRequest,
    methods: Iterable[Method],
    shapes: Iterable[NodeShape],
    tier: Tier,
    rung: Rung = AS_ASKED,
    fewest: Callable[[Candidate], int] = lambda _: 1,
) -> Iterator[Candidate]:
    """Give the candidates of a tier, best first; what the request forbids is left out.

    The first two criteria are the nodes and the GPUs that a candidate takes: those that take more of them are made when they are asked for.
    What has too few GPUs whatever else it does is left out, as far as nobody wants to be told of it: on one node all are told of as asked
    for, of the hundreds of ways to span nodes the largest.

    Args:
        request: what is asked for.
        methods: ways to serve it, best first.
        shapes: kinds of node.
        tier: kind of layouts.
        rung: what is given up.
        fewest: GPUs that a candidate's method takes at the least on its shape, however it is spread.
    """
    considered = tuple(shapes)
    priced = all(shape.price_per_gpu_hour is not None for shape in considered)
    ways = []
    for order, method in enumerate(methods):
        for shape in considered:
            sizes = _by_size(request, method, shape, tier)
            if sizes and (tier.spans_nodes or rung.given_up):
                least = fewest(Candidate(method, order, shape, ONE_GPU, rung))
                told = max(sizes, key=lambda size: size[1]) if not rung.given_up else None
                sizes = {size: found for size, found in sizes.items() if size[1] >= least or size == told}
            ways.append((method, order, shape, sizes))
    for size in sorted({size for *_, sizes in ways for size in sizes}):
        found = [
            Candidate(method, order, shape, layout, rung, _cost(shape, layout, priced))
            for method, order, shape, sizes in ways
            for plain in sizes.get(size, ())
            for layout in _with_experts(request, method, shape, plain)
        ]
        yield from sorted(found, key=preference)


def _cost(shape: NodeShape, layout: Layout, priced: bool) -> float:
    each = shape.price_per_gpu_hour if priced and shape.price_per_gpu_hour is not None else shape.gpu.memory_total_bytes
    return layout.gpus * each


def _by_size(
    request: PlanRequest, method: Method, shape: NodeShape, tier: Tier
) -> Mapping[tuple[int, int], tuple[Layout, ...]]:
    facts = method.facts
    # Slices of a GPU reach each other neither in a node nor over the network.
    nodes = 1 if shape.is_slice else min(MOST_NODES, sum(group.count for group in shape.groups))
    most_gpus = request.max_gpus_per_replica or shape.gpus_per_node * nodes
    limits = Limits(
        gpus_per_node=shape.max_devices_per_pod,
        nodes=nodes,
        most_gpus=most_gpus,
        most_stages=facts.num_layers if facts.supports_pipeline else 1,
        tensor_parallel_size=request.tensor_parallel_size,
        pipeline_parallel_size=request.pipeline_parallel_size,
    )
    return layouts(limits, tier)


def _with_experts(request: PlanRequest, method: Method, shape: NodeShape, layout: Layout) -> Iterator[Layout]:
    """A layout, and what else the same GPUs can make of a model with experts."""
    facts = method.facts
    # Nodes of a product may differ in size: a layout needs as many that are large enough.
    if layout.nodes > 1 and not _are_enough(shape, layout):
        return
    yield layout
    if facts.experts is None or layout.tensor_parallel_size == 1:
        return
    yield Layout(layout.tensor_parallel_size, layout.pipeline_parallel_size, layout.nodes, whole_experts=True)
    if request.tensor_parallel_size is None and engine_version(request.engine_version).number >= _ENGINES_READ:
        yield from (each for each in as_engines(layout) if each.tensor_parallel_size == 1 or shares_known(facts))


def _are_enough(shape: NodeShape, layout: Layout) -> bool:
    large = sum(group.count for group in shape.groups if group.least.capacity >= layout.gpus_per_node)
    return large >= layout.nodes
