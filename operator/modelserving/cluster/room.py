"""What a pod needs, what pods take, and how often the need fits into what a node has left."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelserving.cluster.facts import PodRequests

# Stands for an amount that a node does not state: more than any pod asks for.
UNSTATED = 2**62


@dataclass(frozen=True, slots=True)
class PodNeed:
    """What one pod asks of its node.

    Attributes:
        gpus: devices.
        cpu_millis: CPU in millicores.
        memory_bytes: host memory.
        ephemeral_bytes: local storage: the writable layer, logs, emptyDir volumes on disk.
    """

    gpus: int
    cpu_millis: int = 0
    memory_bytes: int = 0
    ephemeral_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What pods take of one node, together.

    Attributes:
        devices: (extended resource, count), in the order of names.
        cpu_millis: CPU in millicores.
        memory_bytes: host memory.
        ephemeral_bytes: local storage.
        pods: how many pods.
    """

    devices: tuple[tuple[str, int], ...] = ()
    cpu_millis: int = 0
    memory_bytes: int = 0
    ephemeral_bytes: int = 0
    pods: int = 0

    def count(self, resource: str) -> int:
        """Devices of an extended resource."""
        return next((count for name, count in self.devices if name == resource), 0)

    def plus(self, pod: PodRequests, sign: int = 1) -> "Taken":
        """With a pod more; with `sign` -1, with one less."""
        other = Taken(pod.devices, pod.cpu_millis, pod.memory_bytes, pod.ephemeral_bytes, pod.pods)
        return self.less(other, -sign)

    def less(self, other: "Taken", sign: int = 1) -> "Taken":
        """What is left when other pods, counted in this, are gone; with `sign` -1, what it is with them."""
        devices = self.devices
        if other.devices:
            counts = dict(self.devices)
            for resource, count in other.devices:
                counts[resource] = counts.get(resource, 0) - sign * count
            devices = tuple(sorted((resource, count) for resource, count in counts.items() if count))
        return Taken(
            devices,
            self.cpu_millis - sign * other.cpu_millis,
            self.memory_bytes - sign * other.memory_bytes,
            self.ephemeral_bytes - sign * other.ephemeral_bytes,
            self.pods - sign * other.pods,
        )


def taken_by(pods: Iterable[PodRequests]) -> dict[str, Taken]:
    """Add up what pods take of each node."""
    taken: dict[str, Taken] = {}
    nothing = Taken()
    for pod in pods:
        taken[pod.node] = taken.get(pod.node, nothing).plus(pod)
    return taken


@dataclass(frozen=True, slots=True)
class FreeNode:
    """What one node still has of one kind of GPU, and beside it.

    Attributes:
        name: node's name.
        capacity: allocatable devices.
        gpus: free devices.
        cpu_millis: free CPU; below zero where pods that were bound before ask for more than there is.
        memory_bytes: free host memory.
        ephemeral_bytes: free local storage.
        pods: pods it still takes.
    """

    name: str
    capacity: int
    gpus: int
    cpu_millis: int
    memory_bytes: int
    ephemeral_bytes: int = UNSTATED
    pods: int = UNSTATED

    def replicas(self, need: PodNeed) -> int:
        """Count pods with this need that fit."""
        most = self.pods
        for free, each in (
            (self.gpus, need.gpus),
            (self.cpu_millis, need.cpu_millis),
            (self.memory_bytes, need.memory_bytes),
            (self.ephemeral_bytes, need.ephemeral_bytes),
        ):
            if each > 0:
                most = min(most, free // each)
        return max(0, most)


@dataclass(frozen=True, slots=True)
class FreeGroup:
    """Nodes with as many devices and as many of them free: told apart only where CPU, memory or disk run short.

    Attributes:
        count: how many nodes.
        least: for each amount, what the node with the least of it has.
        members: the nodes; empty where none exists yet and all are as `least`.
    """

    count: int
    least: FreeNode
    members: tuple[FreeNode, ...]

    def replicas(self, need: PodNeed) -> int:
        """Count pods with this need that fit."""
        by_gpus = self.least.gpus // need.gpus if need.gpus > 0 else UNSTATED
        if by_gpus <= 0:
            return 0
        sure = self.least.replicas(need)
        if sure >= by_gpus or not self.members:
            return sure * self.count
        return sum(node.replicas(need) for node in self.members)


def grouped(nodes: Iterable[FreeNode]) -> tuple[FreeGroup, ...]:
    """Put nodes together that have as many devices, and as many free; the fullest first."""
    alike: dict[tuple[int, int], list[FreeNode]] = {}
    for node in nodes:
        alike.setdefault((node.gpus, node.capacity), []).append(node)
    return tuple(_group(gpus, capacity, members) for (gpus, capacity), members in sorted(alike.items()))


def _group(gpus: int, capacity: int, members: list[FreeNode]) -> FreeGroup:
    least = FreeNode(
        "",
        capacity,
        gpus,
        min([node.cpu_millis for node in members]),
        min([node.memory_bytes for node in members]),
        min([node.ephemeral_bytes for node in members]),
        min([node.pods for node in members]),
    )
    return FreeGroup(len(members), least, tuple(members))
