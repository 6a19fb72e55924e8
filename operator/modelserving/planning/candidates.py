"""Candidates in the order of preference: a method, a node shape, a tensor parallel size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from modelserving.cluster.capacity import NodeShape
from modelserving.planning.checkpoints import Method
from modelserving.planning.request import PlanRequest


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to serve the model on one shape of node."""

    method: Method
    shape: NodeShape
    tensor_parallel_size: int

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel_size

    @property
    def label(self) -> str:
        """The candidate for a person."""
        return f"{self.gpus} × {self.shape.gpu.product}"


def fewest_gpus(candidate: Candidate) -> int:
    """Fewer GPUs first."""
    return candidate.gpus


def least_gpu_memory(candidate: Candidate) -> int:
    """Less GPU memory in all first: the smaller product serves, the larger stays free for what needs it."""
    return candidate.gpus * candidate.shape.gpu.memory_total_bytes


def best_fit(candidate: Candidate) -> int:
    """The node that is left with the fewest GPUs first, so that big holes stay whole."""
    left = [node.gpus - candidate.gpus for node in candidate.shape.nodes if node.gpus >= candidate.gpus]
    return min(left, default=candidate.shape.gpus_per_node)


def name(candidate: Candidate) -> str:
    """Ties break on names, so that the order of nodes does not matter."""
    return candidate.shape.gpu.product


def preference(candidate: Candidate, order: Sequence[Method]) -> tuple[int, int, int, int, str]:
    """Sort key over all criteria."""
    return (
        fewest_gpus(candidate),
        order.index(candidate.method),
        least_gpu_memory(candidate),
        best_fit(candidate),
        name(candidate),
    )


def enumerate_candidates(
    request: PlanRequest, methods: Sequence[Method], shapes: Iterable[NodeShape]
) -> list[Candidate]:
    """List every candidate on one node, best first; what the request forbids is left out."""
    products = set(request.gpu_products)
    found = [
        Candidate(method, shape, size)
        for shape in shapes
        if not products or shape.gpu.product in products
        for size in range(1, min(shape.gpus_per_node, request.max_gpus_per_replica or shape.gpus_per_node) + 1)
        if request.tensor_parallel_size in (None, size)
        for method in methods
    ]
    return sorted(found, key=lambda candidate: preference(candidate, methods))
