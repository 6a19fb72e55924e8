"""Node shapes and what is free on them: the planner thinks in shapes, not in nodes.

A shape is a GPU product, since a pod asks for a product and the scheduler may put it on any node that has it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.engine.device import Gpu


@dataclass(frozen=True, slots=True)
class FreeNode:
    """What one node still has.

    Attributes:
        name: node's name.
        capacity: allocatable GPUs.
        gpus: free GPUs.
        cpu_millis: free CPU.
        memory_bytes: free host memory.
    """

    name: str
    capacity: int
    gpus: int
    cpu_millis: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class NodeShape:
    """All eligible nodes with GPUs of one product.

    Attributes:
        gpu: the GPU; where nodes differ in memory (ECC, driver), the one with the least.
        gpu_resource: extended resource that counts it.
        gpus_per_node: allocatable GPUs of the largest node.
        host_memory_bytes: allocatable host memory of the node with the most.
        nodes: what is free on each, by name.
    """

    gpu: Gpu
    gpu_resource: str
    gpus_per_node: int
    host_memory_bytes: int
    nodes: tuple[FreeNode, ...]

    def replicas_free(self, gpus: int, memory_bytes: int = 0) -> int:
        """Count replicas of `gpus` GPUs and `memory_bytes` host memory each that free resources hold now."""
        return sum(_fitting(node.gpus, gpus, node.memory_bytes, memory_bytes) for node in self.nodes)

    def replicas_at_most(self, gpus: int) -> int:
        """Count replicas of `gpus` GPUs that these nodes would hold if nothing else ran there."""
        return sum(node.capacity // gpus for node in self.nodes)


def _fitting(free_gpus: int, gpus: int, free_memory: int, memory: int) -> int:
    by_gpus = free_gpus // gpus
    return min(by_gpus, max(0, free_memory) // memory) if memory else by_gpus


def shapes(snapshot: ClusterSnapshot, obstacle: Callable[[NodeFacts], str], without: str = "") -> tuple[NodeShape, ...]:
    """Group the nodes that have GPUs and no obstacle by product, with what pods leave free.

    Args:
        snapshot: nodes and bound pods.
        obstacle: says what keeps the pod off a node; empty if nothing does.
        without: `namespace/name` of the ModelServing whose own pods do not count, since the new plan replaces them.
    """
    used = _used(snapshot, without)
    grouped: dict[tuple[str, str], list[NodeFacts]] = defaultdict(list)
    for node in snapshot.nodes:
        if node.gpu is not None and node.gpu_count > 0 and not obstacle(node):
            grouped[node.gpu.product, node.gpu_resource].append(node)
    return tuple(
        NodeShape(
            gpu=_least([node.gpu for node in nodes if node.gpu is not None]),
            gpu_resource=resource,
            gpus_per_node=max(node.gpu_count for node in nodes),
            host_memory_bytes=max(node.memory_bytes for node in nodes),
            nodes=tuple(_free(nodes, used)),
        )
        for (_, resource), nodes in sorted(grouped.items())
    )


def _least(gpus: list[Gpu]) -> Gpu:
    return replace(
        gpus[0],
        memory_total_bytes=min(gpu.memory_total_bytes for gpu in gpus),
        compute_capability=min(gpu.compute_capability for gpu in gpus),
    )


def _used(snapshot: ClusterSnapshot, without: str) -> dict[str, tuple[int, int, int]]:
    used: dict[str, tuple[int, int, int]] = {}
    for pod in snapshot.pods:
        if without and pod.owner == without:
            continue
        gpus, cpu, memory = used.get(pod.node, (0, 0, 0))
        used[pod.node] = (gpus + pod.gpus, cpu + pod.cpu_millis, memory + pod.memory_bytes)
    return used


def _free(nodes: Iterable[NodeFacts], used: dict[str, tuple[int, int, int]]) -> Iterable[FreeNode]:
    for node in sorted(nodes, key=lambda node: node.name):
        gpus, cpu, memory = used.get(node.name, (0, 0, 0))
        yield FreeNode(
            node.name, node.gpu_count, max(0, node.gpu_count - gpus), node.cpu_millis - cpu, node.memory_bytes - memory
        )
