"""Nodes in pools: nodes alike in all that planning looks at are looked at once.

A cluster of 5,000 nodes has twenty pools. What a plan costs grows with the pools and with the nodes that pods take something of, not
with the nodes. Pools are values: `updated` gives new ones that share with the old what did not change, caches included, so that the
operator can keep them from plan to plan.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from modelserving.cluster.facts import GpuDevice, NodeFacts, PodRequests, Taint
from modelserving.cluster.room import UNSTATED, FreeGroups, FreeNode, Most, Taken, grouped, regrouped, taken_by

# Stands among label keys for the name of the node, which `matchFields` of an affinity may ask for.
NODE_NAME = "metadata.name"

# What makes nodes alike, labels apart: which labels matter depends on what is asked.
_Kind = tuple[tuple[GpuDevice, ...], tuple[Taint, ...], bool, bool]
# Nodes of one kind that come, or go where they are None, by name.
_Changes = dict[str, "PoolNode | None"]
_NOTHING = Taken()
# Changes after which a pool looks at all of its nodes again: what is least in a group is by then no bound worth having.
MOST_STEPS = 256
# Parts that a pool was cut into and that are carried along; of more, each is found anew when it is asked for.
MOST_PARTS_CARRIED = 64


class PoolNode(NamedTuple):
    """A node, and what it has left of each kind of GPU that can be counted on."""

    facts: NodeFacts
    taken: Taken
    free: tuple[FreeNode, ...]

    @classmethod
    def of(cls, facts: NodeFacts, taken: Taken, usable: tuple[GpuDevice, ...] | None = None) -> "PoolNode":
        """Take off a node what pods take of it; `usable` are its kinds of GPU that can be counted on, where they are known."""
        devices = facts.usable_devices if usable is None else usable
        cpu, memory = facts.cpu_millis - taken.cpu_millis, facts.memory_bytes - taken.memory_bytes
        disk = UNSTATED if facts.ephemeral_bytes is None else facts.ephemeral_bytes - taken.ephemeral_bytes
        pods = UNSTATED if facts.pods is None else facts.pods - taken.pods
        free = [FreeNode(d.count, max(0, d.count - taken.count(d.resource)), cpu, memory, disk, pods) for d in devices]
        return cls(facts, taken, tuple(free))

    def without(self, gone: Taken) -> "PoolNode":
        """The node as if pods that take this of it were not there."""
        return self.of(self.facts, self.taken.less(gone))


@dataclass(frozen=True)
class Pool:
    """Nodes alike.

    Attributes:
        nodes: by name.
        derived: what is known of the pool from the one it was made of; None where it is to be found out.
    """

    nodes: Mapping[str, PoolNode]
    derived: "Derived | None" = field(default=None, compare=False, repr=False)

    @cached_property
    def sample(self) -> NodeFacts:
        """One of the nodes: what holds of it holds of all, as far as labels agree."""
        return next(iter(self.nodes.values())).facts

    @cached_property
    def devices(self) -> tuple[GpuDevice, ...]:
        """Kinds of GPU that can be counted on."""
        return self.sample.usable_devices

    @cached_property
    def groups(self) -> tuple[FreeGroups, ...]:
        """For each of `devices`, the nodes by what is free of it."""
        if self.derived is not None:
            return self.derived.groups
        nodes = self.nodes.items()
        return tuple(grouped([(name, node.free[index]) for name, node in nodes]) for index in range(len(self.devices)))

    @cached_property
    def most(self) -> Most:
        """The most that a node has of each amount when nothing runs on it."""
        if self.derived is not None:
            return self.derived.most
        facts = [node.facts for node in self.nodes.values()]
        return Most(
            max([node.cpu_millis for node in facts]),
            max([node.memory_bytes for node in facts]),
            max([UNSTATED if node.ephemeral_bytes is None else node.ephemeral_bytes for node in facts]),
        )

    @cached_property
    def _splits(self) -> dict[frozenset[str], tuple["Pool", ...]]:
        return {} if self.derived is None else dict(self.derived.splits)

    def split(self, labels: frozenset[str]) -> tuple["Pool", ...]:
        """Cut into pools whose nodes agree in these labels."""
        if not labels or len(self.nodes) == 1:
            return (self,)
        if labels not in self._splits:
            self._splits[labels] = self._cut(sorted(labels))
        return self._splits[labels] or (self,)

    def _cut(self, labels: list[str]) -> tuple["Pool", ...]:
        """The parts; none where the nodes agree."""
        parts: dict[tuple[str | None, ...], dict[str, PoolNode]] = {}
        for name, node in self.nodes.items():
            values = tuple([name if label == NODE_NAME else node.facts.labels.get(label) for label in labels])
            parts.setdefault(values, {})[name] = node
        return () if len(parts) == 1 else tuple(Pool(nodes) for nodes in parts.values())

    def changed(self, nodes: Mapping[str, PoolNode | None]) -> "Pool | None":
        """With nodes put in place, or taken out where they are None; None if no node is left."""
        after = {**self.nodes, **nodes}
        left = {name: node for name, node in after.items() if node is not None}
        return Pool(left) if left else None

    def taking(self, nodes: Mapping[str, PoolNode]) -> "Pool":
        """With other pods on some of its nodes, at the cost of those nodes."""
        steps = self.derived.steps + len(nodes) if self.derived is not None else len(nodes)
        after = {**self.nodes, **nodes}
        if steps > MOST_STEPS:
            return Pool(after)
        groups = tuple(
            regrouped(
                known,
                {name: self.nodes[name].free[index] for name in nodes},
                {name: node.free[index] for name, node in nodes.items()},
            )
            for index, known in enumerate(self.groups)
        )
        splits = {
            labels: tuple(part._taking_some(nodes) for part in parts)
            for labels, parts in self._splits.items()
            if len(parts) <= MOST_PARTS_CARRIED
        }
        return Pool(after, Derived(groups, self.most, splits, steps))

    def _taking_some(self, nodes: Mapping[str, PoolNode]) -> "Pool":
        inside = {name: node for name, node in nodes.items() if name in self.nodes}
        return self.taking(inside) if inside else self

    def without(self, taken: Mapping[str, Taken]) -> "Pool":
        """The pool as if pods that take this of its nodes were not there."""
        changed = {name: self.nodes[name].without(gone) for name, gone in taken.items() if name in self.nodes}
        return self.taking(changed) if changed else self


@dataclass(frozen=True, slots=True)
class Derived:
    """What is known of a pool in which pods came or went, without looking at all of its nodes.

    Attributes:
        groups: as `Pool.groups`.
        most: as `Pool.most`.
        splits: parts by the labels in which their nodes agree.
        steps: changes since all nodes were looked at.
    """

    groups: tuple[FreeGroups, ...]
    most: Most
    splits: Mapping[frozenset[str], tuple[Pool, ...]]
    steps: int


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
        changes: dict[_Kind, _Changes] = {}
        # Nodes that were read alike share devices and taints: most are known to be of a kind without hashing all of what a kind is.
        seen: dict[tuple[int, int, bool, bool], tuple[_Kind, tuple[GpuDevice, ...], _Changes]] = {}
        untouched: dict[tuple[int | None, ...], tuple[FreeNode, ...]] = {}
        for name, node in nodes.items():
            before = self.kinds.get(name)
            if before is not None:
                changes.setdefault(before, {})[name] = None
                del kinds[name]
            if node is None:
                continue
            short = (id(node.devices), id(node.taints), node.ready, node.schedulable)
            if short not in seen:
                kind = (node.devices, node.taints, node.ready, node.schedulable)
                usable = node.usable_devices
                seen[short] = (kind, usable, changes.setdefault(kind, {}) if usable else {})
            kind, usable, alike = seen[short]
            if not usable:
                continue
            kinds[name] = kind
            if name in all_taken:
                alike[name] = PoolNode.of(node, all_taken[name], usable)
                continue
            # Nodes alike of which nothing is taken have the same left: most of a large cluster.
            amounts = (id(node.devices), node.cpu_millis, node.memory_bytes, node.ephemeral_bytes, node.pods)
            if amounts not in untouched:
                untouched[amounts] = PoolNode.of(node, _NOTHING, usable).free
            alike[name] = PoolNode(node, _NOTHING, untouched[amounts])
        pools = dict(self.pools)
        for kind, other in self._taking((name for name in taken if name not in nodes), all_taken).items():
            pools[kind] = pools[kind].taking(other)
        for kind, changed in changes.items():
            pool = pools.get(kind, _EMPTY).changed(changed)
            if pool is not None:
                pools[kind] = pool
            else:
                pools.pop(kind, None)
        for name in [name for name, total in taken.items() if total.pods <= 0]:
            del all_taken[name]
        return Pools(pools, kinds if nodes else self.kinds, all_taken)

    def _taking(self, names: Iterable[str], taken: Mapping[str, Taken]) -> dict[_Kind, dict[str, PoolNode]]:
        """Nodes of which pods take something else than before, by their pool."""
        found: dict[_Kind, dict[str, PoolNode]] = {}
        for name in names:
            kind = self.kinds.get(name)
            if kind is not None:
                found.setdefault(kind, {})[name] = PoolNode.of(self.pools[kind].nodes[name].facts, taken[name])
        return found

    def parts(self, labels: frozenset[str], without: Mapping[str, Taken]) -> Iterable[Pool]:
        """List the pools, cut so that nodes of each agree in these labels, and as if certain pods were not there."""
        touched = {self.kinds[name] for name in without if name in self.kinds}
        for kind, pool in self.pools.items():
            for part in pool.split(labels):
                yield part.without(without) if kind in touched else part


_EMPTY = Pool({})
