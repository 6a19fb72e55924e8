"""Events in, keys out: what a watch or a list tells goes into the cache, and whom it concerns into the queue. Microseconds each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelserving.cluster.nodes import node_facts
from modelserving.cluster.quotas import Quota
from modelserving.cluster.resource_slices import NodeSlice, node_slice
from modelserving.cluster.snapshot import NodeFacts
from modelserving.controller.cache import Cache, Change, Serving, serving_of
from modelserving.controller.children import Child, version_of
from modelserving.controller.interest import Interests
from modelserving.controller.picture import ClusterPicture
from modelserving.controller.pods import Pod
from modelserving.controller.resources import Resource
from modelserving.controller.troubles import Troubles
from modelserving.controller.workqueue import Lane, WorkQueue

DELETED = "DELETED"
# Nodes come and go in numbers: one look after the last of a swarm instead of one for each.
NODES_SETTLE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class NamedSlice:
    """A ResourceSlice: its name, and what it tells of GPUs; None where it tells nothing of them."""

    name: str
    content: NodeSlice | None


class Delivery:
    """Takes events.

    Args:
        cache: what is known.
        picture: of the cluster.
        troubles: of pods.
        queue: of keys.
        interests: who cares for what.
    """

    def __init__(
        self, cache: Cache, picture: ClusterPicture, troubles: Troubles, queue: WorkQueue, interests: Interests
    ) -> None:
        self._cache = cache
        self._picture = picture
        self._troubles = troubles
        self._queue = queue
        self._interests = interests

    def serving(self, kind: str | None, manifest: Mapping[str, Any]) -> None:
        """A ModelServing was listed (no kind), added, modified or deleted."""
        serving = serving_of(manifest)
        if kind == DELETED:
            self._gone(serving.key, serving.uid)
            return
        change = self._cache.put_serving(serving)
        if change is not Change.NOTHING:
            self._queue.add(serving.key, _lane(serving, change))

    def servings_listed(self, servings: Iterable[Serving], version: int) -> None:
        """All ModelServings there were at a version: take them, drop the others, and look at each."""
        listed = set()
        for serving in servings:
            listed.add(serving.key)
            self._cache.put_serving(serving)
            self._queue.add(serving.key, _lane(serving, Change.DESIRED))
        for key in self._cache.known_keys():
            known = self._cache.serving(key)
            if key not in listed and known is not None and known.version <= version:
                self._gone(key, known.uid)

    def node(self, kind: str | None, manifest: Mapping[str, Any]) -> None:
        """A node was listed (no kind), added, modified or deleted."""
        node, version = node_of(manifest)
        if kind == DELETED:
            self._nodes_changed(self._picture.remove_node(node.name))
        else:
            self._nodes_changed(*self._picture.put_node(node, version))

    def nodes_listed(self, nodes: Iterable[tuple[NodeFacts, int]], version: int) -> None:
        """All nodes there were at a version: take them, drop the others."""
        listed = set()
        for node, node_version in nodes:
            listed.add(node.name)
            self._nodes_changed(*self._picture.put_node(node, node_version))
        for name in self._picture.nodes_until(version) - listed:
            self._nodes_changed(self._picture.remove_node(name))

    def child(self, kind: str, child: Child) -> None:
        """A Deployment or Service of ours was added, modified or deleted."""
        if kind == DELETED:
            self._child_gone(child)
            return
        change = self._cache.put_child(child)
        if change is not Change.NOTHING:
            self._queue_owner(child, Lane.CHANGED if change is Change.DESIRED else Lane.PROGRESS)

    def children_listed(self, resource: Resource, children: Iterable[Child], version: int) -> None:
        """All Deployments or Services of ours there were at a version: take them, drop the others."""
        listed = set()
        for child in children:
            listed.add(child.where)
            if self._cache.put_child(child) is not Change.NOTHING:
                self._queue_owner(child, Lane.UNCHANGED)
        for known in self._cache.children(resource.kind):
            # What was written here after the list was made is not in it, and not gone.
            if known.where not in listed and known.version <= version:
                self._child_gone(known)

    def pod(self, kind: str, pod: Pod) -> None:
        """A pod was added, modified or deleted."""
        gone = kind == DELETED
        self._picture.put_pod(pod.uid, None if gone else pod.requests)
        if pod.owner:
            changed = self._troubles.remove(pod.uid) if gone else self._troubles.put(pod.uid, pod.owner, pod.trouble)
            self._queue_pods_owner(changed)

    def pods_listed(self, pods: Iterable[Pod]) -> None:
        """All pods there are that have not ended."""
        found = list(pods)
        self._picture.replace_pods((pod.uid, pod.requests) for pod in found if pod.requests is not None)
        in_trouble = [(pod.uid, pod.owner, pod.trouble) for pod in found if pod.trouble is not None]
        for owner in self._troubles.replace(in_trouble):
            self._queue_pods_owner(owner)

    def quota(self, kind: str, quota: Quota) -> None:
        """A ResourceQuota was added, modified or deleted."""
        picture, gone = self._picture, kind == DELETED
        if picture.remove_quota(quota.namespace, quota.name) if gone else picture.put_quota(quota):
            for key in self._interests.of_quota(quota.namespace):
                self._queue.add_after(key, NODES_SETTLE_SECONDS)

    def quotas_listed(self, quotas: Iterable[Quota]) -> None:
        """All ResourceQuotas there are: take them, drop the others."""
        listed = {(quota.namespace, quota.name): quota for quota in quotas}
        for namespace, name in self._picture.quota_names():
            if (namespace, name) not in listed:
                self.quota(DELETED, Quota(namespace, name, {}))
        for quota in listed.values():
            self.quota("", quota)

    def slice(self, kind: str, found: NamedSlice) -> None:
        """A ResourceSlice was added, modified or deleted."""
        self._nodes_changed(*self._picture.put_slice(found.name, None if kind == DELETED else found.content))

    def slices_listed(self, slices: Iterable[NamedSlice]) -> None:
        """All ResourceSlices there are: take them, drop the others."""
        listed = {found.name: found for found in slices}
        for name in self._picture.slice_names():
            if name not in listed:
                self._nodes_changed(*self._picture.put_slice(name, None))
        for found in listed.values():
            self.slice("", found)

    def _gone(self, key: str, uid: str) -> None:
        if self._cache.remove_serving(key, uid):
            self._queue.add(key, Lane.PROGRESS)
            self._queue_waiting(key.split("/", 1)[0])

    def _child_gone(self, child: Child) -> None:
        known = self._cache.remove_child(child.kind, child.namespace, child.name, child.uid)
        if known is not None:
            self._queue_owner(known, Lane.CHANGED)
            self._queue_waiting(child.namespace)

    def _queue_pods_owner(self, owner: str) -> None:
        key = self._cache.key_of_pods(owner) if owner else ""
        if key:
            self._queue.add(key, Lane.PROGRESS)

    def _queue_owner(self, child: Child, lane: Lane) -> None:
        owner = child.owner or self._cache.holder(child.namespace, child.name)
        if owner and self._cache.serving(owner) is not None:
            self._queue.add(owner, lane)

    def _queue_waiting(self, namespace: str) -> None:
        for key in self._interests.of_name(namespace):
            self._queue.add(key, Lane.CHANGED)

    def _nodes_changed(self, *nodes: NodeFacts | None) -> None:
        for key in self._interests.of_nodes(*nodes) if nodes else ():
            self._queue.add_after(key, NODES_SETTLE_SECONDS)


def node_of(manifest: Mapping[str, Any]) -> tuple[NodeFacts, int]:
    """Read a node, and its version."""
    return node_facts(manifest), version_of(manifest["metadata"])


def slice_of(manifest: Mapping[str, Any]) -> NamedSlice:
    """Read a ResourceSlice."""
    return NamedSlice(str(manifest["metadata"]["name"]), node_slice(manifest))


def _lane(serving: Serving, change: Change) -> Lane:
    if change is Change.DESIRED:
        return Lane.UNCHANGED if serving.settled and not serving.deleting else Lane.CHANGED
    return Lane.PROGRESS
