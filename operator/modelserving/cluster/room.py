"""What a pod needs, what pods take, and how often the need fits into what a node has left."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

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
        for name, count in self.devices:
            if name == resource:
                return count
        return 0

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


class Most(NamedTuple):
    """The most that any of some nodes can allocate.

    Attributes:
        cpu_millis: CPU in millicores.
        memory_bytes: host memory.
        ephemeral_bytes: local storage.
    """

    cpu_millis: int
    memory_bytes: int
    ephemeral_bytes: int = UNSTATED


def taken_by(pods: Iterable[PodRequests]) -> dict[str, Taken]:
    """Add up what pods take of each node."""
    by_node: dict[str, list[PodRequests]] = {}
    for pod in pods:
        by_node.setdefault(pod.node, []).append(pod)
    return {node: _together(found) for node, found in by_node.items()}


def _together(pods: list[PodRequests]) -> Taken:
    if len(pods) == 1:
        (pod,) = pods
        devices = tuple(sorted(pod.devices)) if len(pod.devices) > 1 else pod.devices
        return Taken(devices, pod.cpu_millis, pod.memory_bytes, pod.ephemeral_bytes, pod.pods)
    counts: dict[str, int] = {}
    for pod in pods:
        for resource, count in pod.devices:
            counts[resource] = counts.get(resource, 0) + count
    return Taken(
        tuple(sorted(counts.items())),
        sum([pod.cpu_millis for pod in pods]),
        sum([pod.memory_bytes for pod in pods]),
        sum([pod.ephemeral_bytes for pod in pods]),
        sum([pod.pods for pod in pods]),
    )


class FreeNode(NamedTuple):
    """What a node still has of one kind of GPU, and beside it. There may be one for each node: a tuple is made in half the time.

    Attributes:
        capacity: allocatable devices.
        gpus: free devices.
        cpu_millis: free CPU; below zero where pods that were bound before ask for more than there is.
        memory_bytes: free host memory.
        ephemeral_bytes: free local storage.
        pods: pods it still takes.
    """

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

    def less(self, need: PodNeed) -> "FreeNode":
        """The node with one pod more."""
        return FreeNode(
            self.capacity,
            self.gpus - need.gpus,
            self.cpu_millis - need.cpu_millis,
            self.memory_bytes - need.memory_bytes,
            self.ephemeral_bytes - need.ephemeral_bytes,
            self.pods - 1,
        )


@dataclass(frozen=True, slots=True)
class FreeGroup:
    """Nodes with as many devices and as many of them free: told apart only where CPU, memory or disk run short.

    Attributes:
        count: how many nodes.
        least: no node has less of any amount; the devices are those of every node.
        members: the nodes by name; empty where none exists yet and all are as `least`.
    """

    count: int
    least: FreeNode
    members: Mapping[str, FreeNode]

    def replicas(self, need: PodNeed) -> int:
        """Count pods with this need that fit."""
        by_gpus = self.least.gpus // need.gpus if need.gpus > 0 else UNSTATED
        if by_gpus <= 0:
            return 0
        sure = self.least.replicas(need)
        if sure >= by_gpus or not self.members:
            return sure * self.count
        return sum(node.replicas(need) for node in self.members.values())


# (free, allocatable) devices -> the nodes that have them.
FreeGroups = Mapping[tuple[int, int], FreeGroup]


def grouped(nodes: Iterable[tuple[str, FreeNode]]) -> FreeGroups:
    """Put nodes, by their names, together that have as many devices, and as many free."""
    alike: dict[tuple[int, int], dict[str, FreeNode]] = {}
    for name, node in nodes:
        alike.setdefault((node.gpus, node.capacity), {})[name] = node
    return {key: FreeGroup(len(members), _least(members.values()), members) for key, members in alike.items()}


def regrouped(groups: FreeGroups, gone: Mapping[str, FreeNode], come: Mapping[str, FreeNode]) -> FreeGroups:
    """Groups after a few nodes changed, at the cost of those. What is least stays a bound when the node that had it has gone."""
    members: dict[tuple[int, int], dict[str, FreeNode]] = {}
    least = {key: group.least for key, group in groups.items()}

    def of(node: FreeNode) -> dict[str, FreeNode]:
        key = (node.gpus, node.capacity)
        if key not in members:
            members[key] = dict(groups[key].members) if key in groups else {}
        return members[key]

    for name, node in gone.items():
        del of(node)[name]
    for name, node in come.items():
        of(node)[name] = node
        key = (node.gpus, node.capacity)
        least[key] = _least((node, least[key])) if key in least else node
    changed = {key: FreeGroup(len(inside), least[key], inside) for key, inside in members.items()}
    return {key: group for key, group in {**groups, **changed}.items() if group.count}


def _least(nodes: Collection[FreeNode]) -> FreeNode:
    # Nodes of which nothing is taken share one value.
    distinct = {id(node): node for node in nodes}.values()
    one = next(iter(distinct))
    if len(distinct) == 1:
        return one
    return FreeNode(
        one.capacity,
        one.gpus,
        min([node.cpu_millis for node in distinct]),
        min([node.memory_bytes for node in distinct]),
        min([node.ephemeral_bytes for node in distinct]),
        min([node.pods for node in distinct]),
    )
