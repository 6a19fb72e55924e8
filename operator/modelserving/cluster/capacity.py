"""Node shapes and what is free on them: the planner thinks in shapes, not in nodes."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.engine.device import Gpu


@dataclass(frozen=True, slots=True)
class FreeNode:
    """What one node still has.

    Attributes:
        name: node's name.
        gpus: free GPUs.
        cpu_millis: free CPU.
        memory_bytes: free host memory.
    """

    name: str
    gpus: int
    cpu_millis: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class NodeShape:
    """All eligible nodes with the same GPUs.

    Attributes:
        gpu: the GPU.
        gpu_resource: extended resource that counts it.
        gpus_per_node: allocatable GPUs of one node.
        host_memory_bytes: allocatable host memory of the largest of these nodes.
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
        return len(self.nodes) * (self.gpus_per_node // gpus)


def _fitting(free_gpus: int, gpus: int, free_memory: int, memory: int) -> int:
    by_gpus = free_gpus // gpus
    return min(by_gpus, max(0, free_memory) // memory) if memory else by_gpus


def shapes(snapshot: ClusterSnapshot, obstacle: Callable[[NodeFacts], str], without: str = "") -> tuple[NodeShape, ...]:
    """Group the nodes that have GPUs and no obstacle by shape, with what pods leave free.

    Args:
        snapshot: nodes and bound pods.
        obstacle: says what keeps the pod off a node; empty if nothing does.
        without: `namespace/name` of the ModelServing whose own pods do not count, since the new plan replaces them.
    """
    used = _used(snapshot, without)
    grouped: dict[tuple[Gpu, str, int], list[NodeFacts]] = defaultdict(list)
    for node in snapshot.nodes:
        if node.gpu is not None and node.gpu_count > 0 and not obstacle(node):
            grouped[node.gpu, node.gpu_resource, node.gpu_count].append(node)
    return tuple(
        NodeShape(gpu, resource, count, max(n.memory_bytes for n in nodes), tuple(_free(nodes, used)))
        for (gpu, resource, count), nodes in sorted(grouped.items())
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
        yield FreeNode(node.name, max(0, node.gpu_count - gpus), node.cpu_millis - cpu, node.memory_bytes - memory)
