"""The cluster as planning sees it, kept up to date event by event: nodes, what pods take of them, what is promised.

    free = allocatable − requested by bound pods − assumed

Assumed is what a plan made here will take as soon as the scheduler binds its pods: without it, two models planned in the same
second would count on the same GPUs. It ends when the pods are bound, when the workload goes, or after `ASSUMED_SECONDS`: a pod
that the scheduler leaves pending for reasons of its own must not keep GPUs from others for ever.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts, PodRequests
from modelserving.planning.plan import Plan

ASSUMED_SECONDS = 120.0


@dataclass(slots=True)
class _Taken:
    """What pods of one owner take of one node; pods without an owner count together."""

    gpus: int = 0
    cpu_millis: int = 0
    memory_bytes: int = 0
    pods: int = 0

    def add(self, pod: PodRequests, sign: int) -> None:
        self.gpus += sign * pod.gpus
        self.cpu_millis += sign * pod.cpu_millis
        self.memory_bytes += sign * pod.memory_bytes
        self.pods += sign


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
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._nodes: dict[str, NodeFacts] = {}
        self._versions: dict[str, int] = {}
        self._pods: dict[str, PodRequests] = {}
        self._taken: dict[tuple[str, str], _Taken] = {}
        self._bound: dict[str, int] = defaultdict(int)
        self._assumed: dict[str, _Assumed] = {}
        self._pod_tuple: tuple[PodRequests, ...] | None = None

    def put_node(self, node: NodeFacts, version: int) -> tuple[NodeFacts | None, ...]:
        """Take a node; returns it before and after if it changed in what planning looks at, else nothing."""
        before = self._nodes.get(node.name)
        if before is not None and version <= self._versions[node.name]:
            return ()
        self._versions[node.name] = version
        if before == node:
            return ()
        self._nodes[node.name] = node
        return before, node

    def remove_node(self, name: str) -> NodeFacts | None:
        """Forget a node; returns what it was."""
        self._versions.pop(name, None)
        return self._nodes.pop(name, None)

    def nodes_until(self, version: int) -> set[str]:
        """Names of the nodes of which nothing newer than a version is known."""
        return {name for name, known in self._versions.items() if known <= version}

    def products(self) -> set[str]:
        """GPU products that some node has."""
        return {node.gpu.product for node in self._nodes.values() if node.gpu is not None and node.gpu_count}

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
        self._pods, self._taken, self._bound = {}, {}, defaultdict(int)
        for uid, pod in pods:
            self._pods[uid] = pod
            self._count(pod, +1)
        self._pod_tuple = None

    def _count(self, pod: PodRequests, sign: int) -> None:
        where = (pod.node, pod.owner)
        taken = self._taken.setdefault(where, _Taken())
        taken.add(pod, sign)
        if not taken.pods:
            del self._taken[where]
        if pod.owner:
            self._bound[pod.owner] += sign
            if not self._bound[pod.owner]:
                del self._bound[pod.owner]
        self._pod_tuple = None

    def assume(self, key: str, plan: Plan, replicas: int) -> None:
        """Count on a plan's pods before they are bound: on the nodes that they fit best."""
        self.release(key)
        missing = replicas - self._bound.get(key, 0)
        pods = self._place(key, plan, missing) if missing > 0 else []
        if pods:
            self._assumed[key] = _Assumed(pods, replicas, self._clock() + ASSUMED_SECONDS)
            self._pod_tuple = None

    def lacks_pods(self, key: str, replicas: int) -> bool:
        """Whether fewer pods of a key are bound than there shall be."""
        return self._bound.get(key, 0) < replicas

    def release(self, key: str) -> None:
        """No longer count on a plan's pods."""
        if self._assumed.pop(key, None) is not None:
            self._pod_tuple = None

    def snapshot(self) -> ClusterSnapshot:
        """The picture of this moment."""
        self._drop_settled()
        if self._pod_tuple is None:
            self._pod_tuple = tuple(self._requests())
        return ClusterSnapshot(tuple(self._nodes.values()), self._pod_tuple)

    def _requests(self) -> Iterable[PodRequests]:
        for (node, owner), taken in self._taken.items():
            yield PodRequests("", "", node, owner, taken.gpus, taken.cpu_millis, taken.memory_bytes)
        for key, assumed in self._assumed.items():
            yield from assumed.pods[: max(0, assumed.replicas - self._bound.get(key, 0))]

    def _drop_settled(self) -> None:
        now = self._clock()
        for key, assumed in list(self._assumed.items()):
            if assumed.until <= now or self._bound.get(key, 0) >= assumed.replicas:
                self.release(key)

    def _place(self, key: str, plan: Plan, replicas: int) -> list[PodRequests]:
        gpus = plan.placement.gpus_per_node
        free = self._free_gpus(plan.placement.gpu_product)
        pods = []
        for _ in range(replicas):
            fitting = [(left, name) for name, left in free.items() if left >= gpus]
            if not fitting:
                break
            _, name = min(fitting)
            free[name] -= gpus
            pods.append(PodRequests("", "", name, key, gpus, 0, plan.memory.host_memory_bytes))
        return pods

    def _free_gpus(self, product: str) -> dict[str, int]:
        free = {
            node.name: node.gpu_count
            for node in self._nodes.values()
            if node.gpu is not None and node.gpu.product == product and node.ready and node.schedulable
        }
        for pod in self.snapshot().pods:
            if pod.node in free:
                free[pod.node] -= pod.gpus
        return free
