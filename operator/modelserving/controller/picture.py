"""The cluster as planning sees it, kept up to date event by event: nodes, what pods take of them, what is promised.

    free = allocatable − requested by bound pods − assumed

Assumed is what a plan made here will take as soon as the scheduler binds its pods: without it, two models planned in the same
second would count on the same GPUs. It ends when the pods are bound, when the workload goes, or after `ASSUMED_SECONDS`: a pod
that the scheduler leaves pending for reasons of its own must not keep GPUs from others for ever.

Nodes are kept in pools from plan to plan: a change costs as much as what changed, not as the cluster.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from modelserving.cluster.declared import DeclaredShape
from modelserving.cluster.pools import Pools
from modelserving.cluster.quotas import Quota
from modelserving.cluster.resource_slices import NodeSlice, described
from modelserving.cluster.room import FreeGroup, FreeNode, PodNeed, Taken
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts, PodRequests
from modelserving.planning.plan import Plan
from modelserving.planning.pod_needs import MILLIS, default_cpus
from modelserving.units import ceil_div

ASSUMED_SECONDS = 120.0
_NOTHING = Taken()


@dataclass(slots=True)
class _Assumed:
    """Pods of one plan that the scheduler has not bound yet."""

    pods: list[PodRequests]
    replicas: int
    until: float


class ClusterPicture:
    """Nodes and pods.

    Args:
        clock: monotonic seconds.
        declared: shapes of node that an autoscaler can make.
        prices: price of one GPU for one hour, by product.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        declared: tuple[DeclaredShape, ...] = (),
        prices: Mapping[str, float] | None = None,
    ) -> None:
        self._clock = clock
        self._declared = declared
        self._prices = prices or {}
        self._nodes: dict[str, NodeFacts] = {}
        self._stated: dict[str, NodeFacts] = {}
        self._versions: dict[str, int] = {}
        self._slices: dict[str, NodeSlice] = {}
        self._quotas: dict[tuple[str, str], Quota] = {}
        self._pods: dict[str, PodRequests] = {}
        self._taken: dict[str, dict[str, Taken]] = defaultdict(dict)
        self._together: dict[tuple[str, str], PodRequests] = {}
        self._bound: dict[str, int] = defaultdict(int)
        self._assumed: dict[str, _Assumed] = {}
        self._expected: dict[str, tuple[PodRequests, ...]] = {}
        self._expected_on: dict[str, dict[str, Taken]] = defaultdict(dict)
        self._pools = Pools()
        self._nodes_changed: set[str] = set()
        self._taken_changed: set[str] = set()
        self._snapshot: ClusterSnapshot | None = None

    def put_node(self, node: NodeFacts, version: int) -> tuple[NodeFacts | None, ...]:
        """Take a node; returns it before and after if it changed in what planning looks at, else nothing."""
        before = self._stated.get(node.name)
        if before is not None and version <= self._versions[node.name]:
            return ()
        self._versions[node.name] = version
        if before == node:
            return ()
        self._stated[node.name] = node
        return self._describe(node.name)

    def remove_node(self, name: str) -> NodeFacts | None:
        """Forget a node; returns what it was."""
        self._versions.pop(name, None)
        self._stated.pop(name, None)
        self._touch_node(name)
        return self._nodes.pop(name, None)

    def nodes_until(self, version: int) -> set[str]:
        """Names of the nodes of which nothing newer than a version is known."""
        return {name for name, known in self._versions.items() if known <= version}

    def put_slice(self, name: str, found: NodeSlice | None) -> tuple[NodeFacts | None, ...]:
        """Take a ResourceSlice by its name, None where it is gone; returns its node before and after if that changed it, else nothing."""
        before = self._slices.get(name)
        if before == found:
            return ()
        if found is None:
            del self._slices[name]
        else:
            self._slices[name] = found
        changed: tuple[NodeFacts | None, ...] = ()
        for node in {piece.node for piece in (before, found) if piece is not None}:
            changed += self._describe(node) if node in self._stated else ()
        return changed

    def slice_names(self) -> tuple[str, ...]:
        """Names of the ResourceSlices that are known."""
        return tuple(self._slices)

    def _describe(self, name: str) -> tuple[NodeFacts | None, ...]:
        """Read a node with what ResourceSlices tell of it; returns it before and after if that is another one."""
        before = self._nodes.get(name)
        slices = [found for found in self._slices.values() if found.node == name]
        node = described(self._stated[name], slices) if slices else self._stated[name]
        if before == node:
            return ()
        self._nodes[name] = node
        self._touch_node(name)
        return before, node

    def products(self) -> set[str]:
        """GPU products that some node has."""
        return {product for node in self._nodes.values() for product in node.products}

    def put_quota(self, quota: Quota) -> bool:
        """Take a ResourceQuota; tells whether what it allows is new, rather than what is used of it."""
        before = self._quotas.get((quota.namespace, quota.name))
        if before == quota:
            return False
        self._quotas[quota.namespace, quota.name] = quota
        self._snapshot = None
        return before is None or _hard(before) != _hard(quota)

    def remove_quota(self, namespace: str, name: str) -> bool:
        """Forget a ResourceQuota; tells whether it was known."""
        self._snapshot = None
        return self._quotas.pop((namespace, name), None) is not None

    def quota_names(self) -> tuple[tuple[str, str], ...]:
        """Namespace and name of the ResourceQuotas that are known."""
        return tuple(self._quotas)

    def put_pod(self, uid: str, pod: PodRequests | None) -> None:
        """Take a pod by its uid; None where it takes nothing, or is gone."""
        before = self._pods.get(uid)
        if before == pod:
            return
        if before is not None:
            self._count(before, -1)
            del self._pods[uid]
        if pod is not None:
            self._count(pod, +1)
            self._pods[uid] = pod

    def replace_pods(self, pods: Iterable[tuple[str, PodRequests]]) -> None:
        """Take all pods there are, in place of those known."""
        found = dict(pods)
        for uid in [uid for uid in self._pods if uid not in found]:
            self.put_pod(uid, None)
        for uid, pod in found.items():
            self.put_pod(uid, pod)

    def _count(self, pod: PodRequests, sign: int) -> None:
        owners, where = self._taken[pod.node], (pod.node, pod.owner)
        taken = owners.get(pod.owner, _NOTHING).plus(pod, sign)
        if taken.pods:
            owners[pod.owner] = taken
            self._together[where] = _as_one(pod.node, pod.owner, taken)
        else:
            del owners[pod.owner], self._together[where]
        if pod.owner and pod.node:
            self._bound[pod.owner] += sign
            if not self._bound[pod.owner]:
                del self._bound[pod.owner]
            self._release_if_bound(pod.owner)
        self._touch_pods(pod.node)

    def assume(self, key: str, plan: Plan, replicas: int) -> None:
        """Count on a plan's pods before they are bound: on the nodes that they fit best."""
        self.release(key)
        missing = replicas - self._bound.get(key, 0)
        pods = self._place(key, plan, missing) if missing > 0 else []
        if pods:
            self._assumed[key] = _Assumed(pods, replicas, self._clock() + ASSUMED_SECONDS)
            self._expect(key)

    def lacks_pods(self, key: str, replicas: int) -> bool:
        """Whether fewer pods of a key are bound than there shall be."""
        return self._bound.get(key, 0) < replicas

    def release(self, key: str) -> None:
        """No longer count on a plan's pods."""
        self._assumed.pop(key, None)
        self._expect(key)

    def snapshot(self) -> ClusterSnapshot:
        """The picture of this moment."""
        self._drop_expired()
        if self._snapshot is None:
            self._snapshot = ClusterSnapshot(
                nodes=tuple(self._nodes.values()),
                pods=(*self._together.values(), *chain.from_iterable(self._expected.values())),
                declared=self._declared,
                quotas=tuple(self._quotas.values()),
                prices=self._prices,
                kept=self._current(),
            )
        return self._snapshot

    def _current(self) -> Pools:
        """The pools as they are now, made of those before."""
        changed = self._nodes_changed | self._taken_changed
        if changed:
            nodes = {name: self._nodes.get(name) for name in self._nodes_changed}
            taken = dict.fromkeys(changed, _NOTHING)
            for name in changed:
                for owned in chain(self._taken.get(name, {}).values(), self._expected_on.get(name, {}).values()):
                    taken[name] = taken[name].less(owned, -1)
            self._pools = self._pools.updated(nodes, taken)
            self._nodes_changed, self._taken_changed = set(), set()
        return self._pools

    def _expect(self, key: str) -> None:
        """Find out anew which pods of a key are assumed and not bound yet."""
        for pod in self._expected.pop(key, ()):
            self._touch_pods(pod.node)
            self._expected_on[pod.node].pop(key, None)
            if not self._expected_on[pod.node]:
                del self._expected_on[pod.node]
        assumed = self._assumed.get(key)
        if assumed is None:
            return
        pods = tuple(assumed.pods[: max(0, assumed.replicas - self._bound.get(key, 0))])
        if pods:
            self._expected[key] = pods
        for pod in pods:
            self._touch_pods(pod.node)
            on = self._expected_on[pod.node]
            on[key] = on.get(key, _NOTHING).plus(pod)

    def _drop_expired(self) -> None:
        now = self._clock()
        # Each is assumed for as long as any other: the first of them ends first.
        while self._assumed and next(iter(self._assumed.values())).until <= now:
            self.release(next(iter(self._assumed)))

    def _release_if_bound(self, key: str) -> None:
        """Let go of what is assumed of a key whose pods are all bound, and of one pod more or less otherwise."""
        assumed = self._assumed.get(key)
        if assumed is not None and self._bound.get(key, 0) >= assumed.replicas:
            self.release(key)
        elif assumed is not None:
            self._expect(key)

    def _place(self, key: str, plan: Plan, replicas: int) -> list[PodRequests]:
        place = plan.placement
        memory = ceil_div(plan.memory.host_memory_bytes, place.nodes_per_replica)
        cpu = default_cpus(place.gpus_per_node, plan.config.data_parallel_size) * MILLIS
        need = PodNeed(place.gpus_per_node, cpu, memory)
        groups = sorted(self._groups(place.gpu_product, place.gpu_resource), key=lambda group: group.least.gpus)
        chosen: dict[str, FreeNode] = {}
        names = []
        for _ in range(replicas * place.nodes_per_replica):
            name, node = _best_fit(groups, chosen, need)
            if node is None:
                break
            chosen[name] = node.less(need)
            names.append(name)
        devices = ((place.gpu_resource, need.gpus),)
        return [PodRequests("", "", name, key, devices, need.cpu_millis, need.memory_bytes) for name in names]

    def _groups(self, product: str, resource: str) -> Iterator[FreeGroup]:
        for pool in self.snapshot().pools.pools.values():
            if pool.sample.ready and pool.sample.schedulable:
                for index, device in enumerate(pool.devices):
                    if device.resource == resource and device.gpu is not None and device.gpu.product == product:
                        yield from pool.groups[index].values()

    def _touch_node(self, name: str) -> None:
        self._nodes_changed.add(name)
        self._snapshot = None

    def _touch_pods(self, node: str) -> None:
        # Pods that are bound to no node are in no pool: only quotas count them.
        if node:
            self._taken_changed.add(node)
        self._snapshot = None


def _as_one(node: str, owner: str, taken: Taken) -> PodRequests:
    """All pods of one owner on one node, counted together."""
    amounts = (taken.devices, taken.cpu_millis, taken.memory_bytes, taken.ephemeral_bytes, taken.pods)
    return PodRequests("", "", node, owner, *amounts)


def _best_fit(
    groups: Iterable[FreeGroup], chosen: Mapping[str, FreeNode], need: PodNeed
) -> tuple[str, FreeNode | None]:
    """The node that is left with the fewest GPUs by one more pod; none where no node takes it."""
    fitting = [(node.gpus, name, node) for name, node in chosen.items() if node.replicas(need)]
    for group in groups:
        inside = ((name, node) for name, node in group.members.items() if name not in chosen)
        found = next(((name, node) for name, node in inside if node.replicas(need)), None)
        if found is not None:
            fitting.append((group.least.gpus, *found))
            break
    _, name, best = min(fitting, key=lambda entry: entry[:2], default=(0, "", None))
    return name, best


def _hard(quota: Quota) -> dict[str, int]:
    return {name: amount.hard for name, amount in quota.amounts.items()}
