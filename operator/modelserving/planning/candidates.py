"""Candidates, and the order in which they are preferred: a method, a node shape, a layout, and what is given up for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelserving.cluster.capacity import NodeShape
from modelserving.planning.checkpoints import Method
from modelserving.planning.ladder import AS_ASKED, Rung
from modelserving.planning.layouts import Layout, Limits, Tier, layouts
from modelserving.planning.request import PlanRequest


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to serve the model on one shape of node.

    Attributes:
        method: checkpoint and conversion.
        order: place of the method among those of its rung, best first.
        shape: kind of node.
        layout: spread over GPUs.
        rung: what is given up.
    """

    method: Method
    order: int
    shape: NodeShape
    layout: Layout
    rung: Rung = AS_ASKED

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
    """Less GPU memory in all first: the smaller product serves, the larger stays free for what needs it."""
    return candidate.gpus * candidate.shape.gpu.memory_total_bytes


def least_waiting_for_each_other(candidate: Candidate) -> int:
    """Tensor parallel before pipeline parallel."""
    return candidate.layout.pipeline_parallel_size


def cut_experts_first(candidate: Candidate) -> bool:
    """Experts cut over GPUs before whole experts, which are loaded unevenly."""
    return candidate.layout.whole_experts


def best_fit(candidate: Candidate) -> int:
    """The node that is left with the fewest GPUs first, so that big holes stay whole."""
    taken = candidate.layout.gpus_per_node
    left = [node.gpus - taken for node in candidate.shape.nodes if node.gpus >= taken]
    return min(left, default=candidate.shape.gpus_per_node)


def name(candidate: Candidate) -> str:
    """Ties break on names, so that the order of nodes does not matter."""
    return candidate.shape.gpu.product


CRITERIA: tuple[Callable[[Candidate], float | str], ...] = (
    fewest_nodes,
    fewest_gpus,
    stored_first,
    cheapest,
    least_waiting_for_each_other,
    cut_experts_first,
    best_fit,
    name,
)


def preference(candidate: Candidate) -> tuple[float | str, ...]:
    """Sort key over all criteria."""
    return tuple(criterion(candidate) for criterion in CRITERIA)


def enumerate_candidates(
    request: PlanRequest, methods: Iterable[Method], shapes: Iterable[NodeShape], tier: Tier, rung: Rung = AS_ASKED
) -> list[Candidate]:
    """List every candidate of a tier, best first; what the request forbids is left out."""
    found = [
        Candidate(method, order, shape, layout, rung)
        for order, method in enumerate(methods)
        for shape in shapes
        for layout in _layouts(request, method, shape, tier)
    ]
    return sorted(found, key=preference)


def _layouts(request: PlanRequest, method: Method, shape: NodeShape, tier: Tier) -> Iterable[Layout]:
    facts = method.facts
    if tier is Tier.ACROSS_NODES and facts.supports_pipeline and request.tensor_parallel_size is None:
        return
    most_gpus = request.max_gpus_per_replica or shape.gpus_per_node * len(shape.nodes)
    limits = Limits(
        gpus_per_node=shape.gpus_per_node,
        nodes=len(shape.nodes),
        most_gpus=most_gpus,
        most_stages=facts.num_layers if facts.supports_pipeline else 1,
        tensor_parallel_size=request.tensor_parallel_size,
        pipeline_parallel_size=request.pipeline_parallel_size,
    )
    for layout in layouts(limits, tier):
        # Nodes of a product may differ in size: a layout needs as many that are large enough.
        if layout.nodes > 1 and not _are_enough(shape, layout):
            continue
        yield layout
        if facts.experts is not None and layout.tensor_parallel_size > 1:
            yield Layout(layout.tensor_parallel_size, layout.pipeline_parallel_size, layout.nodes, whole_experts=True)


def _are_enough(shape: NodeShape, layout: Layout) -> bool:
    return sum(node.capacity >= layout.gpus_per_node for node in shape.nodes) >= layout.nodes
