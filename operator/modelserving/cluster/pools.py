"""Nodes in pools: nodes alike in all that planning looks at are looked at once.

A cluster of 5,000 nodes has twenty pools. What a plan costs grows with the pools and with the nodes that pods take something of, not
with the nodes. Pools are values: `updated` gives new ones that share with the old what did not change, caches included, so that the
operator can keep them from plan to plan.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from modelserving.cluster.facts import GpuDevice, NodeFacts, PodRequests, Taint
from modelserving.cluster.room import UNSTATED, FreeGroup, FreeNode, Taken, grouped, taken_by

# Stands among label keys for the name of the node, which `matchFields` of an affinity may ask for.
NODE_NAME = "metadata.name"

# What makes nodes alike, labels apart: which labels matter depends on what is asked.
_Kind = tuple[tuple[GpuDevice, ...], tuple[Taint, ...], bool, bool]
_NOTHING = Taken()


@dataclass(frozen=True, slots=True)
class PoolNode:
    """A node, and what it has left of each kind of GPU that can be counted on."""

    facts: NodeFacts
    taken: Taken
    free: tuple[FreeNode, ...]

    @classmethod
    def of(cls, facts: NodeFacts, taken: Taken) -> "PoolNode":
        """Take off a node what pods take of it."""
        cpu, memory = facts.cpu_millis - taken.cpu_millis, facts.memory_bytes - taken.memory_bytes
        disk = UNSTATED if facts.ephemeral_bytes is None else facts.ephemeral_bytes - taken.ephemeral_bytes
        pods = UNSTATED if facts.pods is None else facts.pods - taken.pods
        free = tuple(
            FreeNode(facts.name, d.count, max(0, d.count - taken.count(d.resource)), cpu, memory, disk, pods)
            for d in facts.usable_devices
        )
        return cls(facts, taken, free)

    def without(self, gone: Taken) -> "PoolNode":
        """The node as if pods that take this of it were not there."""
        return self.of(self.facts, self.taken.less(gone))


@dataclass(frozen=True)
class Pool:
    """Nodes alike.

    Attributes:
        nodes: by name.
    """

    nodes: Mapping[str, PoolNode]

    @cached_property
    def sample(self) -> NodeFacts:
        """One of the nodes: what holds of it holds of all, as far as labels agree."""
        return next(iter(self.nodes.values())).facts

    @cached_property
    def devices(self) -> tuple[GpuDevice, ...]:
        """Kinds of GPU that can be counted on."""
        return self.sample.usable_devices

    @cached_property
    def groups(self) -> tuple[tuple[FreeGroup, ...], ...]:
        """For each of `devices`, the nodes by what is free of it."""
        nodes = self.nodes.values()
        return tuple(grouped([node.free[index] for node in nodes]) for index in range(len(self.devices)))

    @cached_property
    def most_memory_bytes(self) -> int:
        """Allocatable host memory of the node with the most."""
        return max(node.facts.memory_bytes for node in self.nodes.values())

    @cached_property
    def _splits(self) -> dict[frozenset[str], tuple["Pool", ...]]:
        return {}

    def split(self, labels: frozenset[str]) -> tuple["Pool", ...]:
        """Cut into pools whose nodes agree in these labels."""
        if not labels or len(self.nodes) == 1:
            return (self,)
        if labels not in self._splits:
            self._splits[labels] = self._cut(sorted(labels))
        return self._splits[labels]

    def _cut(self, labels: list[str]) -> tuple["Pool", ...]:
        parts: dict[tuple[str | None, ...], dict[str, PoolNode]] = {}
        for name, node in self.nodes.items():
            values = tuple([name if label == NODE_NAME else node.facts.labels.get(label) for label in labels])
            parts.setdefault(values, {})[name] = node
        return (self,) if len(parts) == 1 else tuple(Pool(nodes) for nodes in parts.values())

    def changed(self, nodes: Mapping[str, PoolNode | None]) -> "Pool | None":
        """With nodes put in place, or taken out where they are None; None if no node is left."""
        kept = {**self.nodes, **nodes}
        left = {name: node for name, node in kept.items() if node is not None}
        return Pool(left) if left else None

    def without(self, taken: Mapping[str, Taken]) -> "Pool":
        """The pool as if pods that take this of its nodes were not there."""
        changed = {name: self.nodes[name].without(gone) for name, gone in taken.items() if name in self.nodes}
        return Pool({**self.nodes, **changed}) if changed else self


@dataclass(frozen=True)
class Pools:
    """All nodes that have GPUs that can be counted on, in pools, and what pods take of every node.

    Attributes:
        pools: by what their nodes are alike in.
        kinds: pool of each node, by its name.
        taken: what pods take, by the name of the node; also of nodes that are not known.
    """

    pools: Mapping[_Kind, Pool] = field(default_factory=dict)
    kinds: Mapping[str, _Kind] = field(default_factory=dict)
    taken: Mapping[str, Taken] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Iterable[NodeFacts], pods: Iterable[PodRequests]) -> "Pools":
        """Put nodes in pools."""
        return cls().updated({node.name: node for node in nodes}, taken_by(pods))

    def updated(self, nodes: Mapping[str, NodeFacts | None], taken: Mapping[str, Taken]) -> "Pools":
        """The pools after changes: cheap where few nodes change, cheapest where changes of many come at once.

        Args:
            nodes: nodes that are new or changed; None where they are gone.
            taken: what all pods together take now, of each node of which they take something else than before.
        """
        all_taken = {**self.taken, **taken}
        kinds = dict(self.kinds) if nodes else {}
        changes: dict[_Kind, dict[str, PoolNode | None]] = {}
        for name, node in nodes.items():
            before = self.kinds.get(name)
            if before is not None:
                changes.setdefault(before, {})[name] = None
                del kinds[name]
            if node is not None and node.usable_devices:
                kind = (node.devices, node.taints, node.ready, node.schedulable)
                alike = changes.get(kind)
                if alike is None:
                    alike = changes[kind] = {}
                alike[name] = PoolNode.of(node, all_taken.get(name, _NOTHING))
                kinds[name] = kind
        for name, total in taken.items():
            known = self.kinds.get(name)
            if known is not None and name not in nodes:
                facts = self.pools[known].nodes[name].facts
                changes.setdefault(known, {})[name] = PoolNode.of(facts, total)
        pools = dict(self.pools)
        for kind, changed in changes.items():
            pool = pools.get(kind, _EMPTY).changed(changed)
            if pool is not None:
                pools[kind] = pool
            else:
                pools.pop(kind, None)
        for name in [name for name, total in taken.items() if total.pods <= 0]:
            del all_taken[name]
        return Pools(pools, kinds if nodes else self.kinds, all_taken)

    def parts(self, labels: frozenset[str], without: Mapping[str, Taken]) -> Iterable[Pool]:
        """List the pools, cut so that nodes of each agree in these labels, and as if certain pods were not there."""
        touched = {self.kinds[name] for name in without if name in self.kinds}
        for kind, pool in self.pools.items():
            for part in pool.split(labels):
                yield part.without(without) if kind in touched else part


_EMPTY = Pool({})
