"""Objects as the API server tells of them, and a stand-in for it.

The stand-in exists for the loop's own logic (what is written, in what order, what happens on each refusal), which a real API server
cannot be made to show step by step; that logic on a real one is tests/cluster/test_operator*.py.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from modelserving.api.modelserving import SecretKeyRef
from modelserving.controller.cache import Cache
from modelserving.controller.children import child_of
from modelserving.controller.decide import Decider
from modelserving.controller.delivery import Delivery
from modelserving.controller.interest import Interests
from modelserving.controller.picture import ClusterPicture
from modelserving.controller.ports import Known, Pending
from modelserving.controller.reconcile import Reconciler
from modelserving.controller.report import Reporter
from modelserving.controller.resources import CHILDREN, MODELSERVINGS, Resource
from modelserving.controller.troubles import Troubles
from modelserving.controller.workload import Workload
from modelserving.controller.workqueue import WorkQueue
from modelserving.errors import ClusterError, InvalidObjectError, NotFoundError
from modelserving.hub.catalogue import lookup
from modelserving.models.facts import ModelFacts
from modelserving.models.metadata import CheckpointRef
from modelserving.models.reader import read_facts
from modelserving.settings import Settings
from planning_cases import H100, node

Kept = TypeVar("Kept")
UID = "11111111-1111-1111-1111-111111111111"
MODEL = "Qwen/Qwen2.5-0.5B-Instruct"


def serving(name: str = "one", uid: str = UID, generation: int = 1, version: int = 1, **spec: Any) -> dict[str, Any]:
    """A ModelServing without a status."""
    return {
        "apiVersion": "modelserving.dev/v1alpha1",
        "kind": "ModelServing",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": uid,
            "generation": generation,
            "resourceVersion": str(version),
        },
        "spec": {"model": MODEL, **spec},
    }


class FakeCluster:
    """Objects by kind, namespace and name; every write is noted. `fail` holds what to raise for verb and kind, once each."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.fail: dict[tuple[str, str], ClusterError] = {}
        self.version = 100

    def put(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Take an object as it is."""
        self.version += 1
        kept = copy.deepcopy(dict(manifest))
        kept["metadata"] = {**kept["metadata"], "resourceVersion": str(self.version)}
        kept["metadata"].setdefault("uid", f"uid-{self.version}")
        self.objects[_where(kept)] = kept
        return copy.deepcopy(kept)

    async def apply(self, manifest: Mapping[str, Any], force: bool = True) -> dict[str, Any]:
        self._raise("apply", manifest["kind"])
        self.writes.append(f"apply {manifest['kind']}")
        before = self.objects.get(_where(manifest), {})
        metadata = {**before.get("metadata", {}), **manifest["metadata"]}
        metadata["generation"] = metadata.get("generation", 0) + (before.get("spec") != manifest["spec"])
        return self.put({**before, **manifest, "metadata": metadata})

    async def replace_lists(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        self.writes.append(f"replace lists of {manifest['kind']}")
        return await self.get(
            CHILDREN[manifest["kind"]], manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        )

    async def forget_updates(self, live: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
        self.writes.append(f"forget updates of {resource.kind}")
        return dict(live)

    async def put_status(
        self, resource: Resource, manifest: Mapping[str, Any], status: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._raise("status", resource.kind)
        self.writes.append("status")
        found = self.objects.get(_where(manifest))
        if found is None:
            raise NotFoundError("no such object", 404)
        if found["metadata"]["uid"] != manifest["metadata"]["uid"]:
            raise InvalidObjectError("the test of the uid failed", 422)
        return self.put({**found, "status": dict(status)})

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        self._raise("get", resource.kind)
        found = self.objects.get((resource.kind, namespace, name))
        if found is None:
            raise NotFoundError(f"{resource.plural} {name} not found", 404)
        return copy.deepcopy(found)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        self.writes.append(f"delete {resource.kind}")
        self.objects.pop((resource.kind, namespace, name), None)

    async def listed(
        self, resource: Resource, keep: Callable[[Mapping[str, Any]], Kept], label_selector: str = ""
    ) -> tuple[list[Kept], int]:
        self._raise("list", resource.kind)
        return [
            keep(copy.deepcopy(each)) for each in self.objects.values() if each["kind"] == resource.kind
        ], self.version

    def status(self, name: str = "one") -> dict[str, Any]:
        """Status of a ModelServing; empty if none was written."""
        found: dict[str, Any] = self.objects[MODELSERVINGS.kind, "ns", name].get("status", {})
        return found

    def condition(self, kind: str, name: str = "one") -> tuple[str, str]:
        """Status and reason of a condition."""
        for condition in self.status(name).get("conditions", []):
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return "", ""

    def _raise(self, verb: str, kind: str) -> None:
        if (error := self.fail.pop((verb, kind), None)) is not None:
            raise error


def _where(manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Silence:
    """Counts nothing."""

    def reconciled(self, outcome: str, seconds: float) -> None: ...

    def planned(self, reason: str, seconds: float) -> None: ...

    def facts_read(self, outcome: str, seconds: float) -> None: ...


class Loop:
    """The loop without its watches: what the stand-in holds is told to it by `tell`."""

    def __init__(self, settle_seconds: float = 0.0) -> None:
        self.cluster = FakeCluster()
        self.clock = Clock()
        self.cache = Cache()
        self.queue = WorkQueue(chance=lambda: 0.0)
        self.interests = Interests()
        self.troubles = Troubles()
        self.now = "2026-11-23T00:00:00Z"
        self.picture = ClusterPicture(self.clock)
        self.picture.put_node(node("h100", H100), 1)
        self.known: Known | Pending = Known({CheckpointRef("Qwen/Qwen2.5-0.5B-Instruct"): small_facts()})
        self.busy = False
        self.events: list[tuple[str, str]] = []
        settings = Settings(status_settle_seconds=settle_seconds)
        reporter = Reporter(
            self.cluster,
            self.cache,
            self,
            settle_seconds,
            lambda: self.busy,
            self.clock,
            lambda: self.now,
        )
        self.reconciler = Reconciler(
            settings,
            self.cache,
            self.picture,
            self.troubles,
            Decider(settings, self, self.picture, Silence()),
            Workload(self.cluster, self.cache, lambda: self.busy, self.clock),
            reporter,
            self.interests,
            lambda: self.now,
        )
        self.delivery = Delivery(self.cache, self.picture, self.troubles, self.queue, self.interests)

    def lookup(
        self, key: str, refs: Iterable[CheckpointRef], token_ref: SecretKeyRef | None, namespace: str
    ) -> Known | Pending:
        """Stands for the facts."""
        return self.known

    def post(self, serving: Mapping[str, Any], kind: str, reason: str, message: str) -> None:
        """Stands for the events."""
        self.events.append((kind, reason))

    def create(self, name: str = "one", **spec: Any) -> None:
        """Somebody applies a resource, and the watch tells of it."""
        self.delivery.serving("ADDED", self.cluster.put(serving(name, **spec)))

    def change(self, name: str = "one", **spec: Any) -> None:
        """Somebody changes its spec."""
        found = self.cluster.objects["ModelServing", "ns", name]
        metadata = {**found["metadata"], "generation": found["metadata"]["generation"] + 1}
        self.delivery.serving(
            "MODIFIED", self.cluster.put({**found, "metadata": metadata, "spec": {**found["spec"], **spec}})
        )

    def edit(self, kind: str = "Deployment", name: str = "one", **spec: Any) -> None:
        """Somebody edits a Deployment or Service by hand."""
        found = self.cluster.objects[kind, "ns", name]
        self.delivery.child(
            "MODIFIED", child_of(self.cluster.put({**found, "spec": {**found["spec"], **spec}}), CHILDREN[kind])
        )

    def delete_child(self, kind: str = "Deployment", name: str = "one") -> None:
        """Somebody deletes a Deployment or Service by hand."""
        found = self.cluster.objects.pop((kind, "ns", name))
        self.delivery.child("DELETED", child_of(found, CHILDREN[kind]))

    def pods_ready(self, name: str = "one") -> None:
        """The Deployment controller reports all pods ready."""
        found = self.cluster.objects["Deployment", "ns", name]
        generation, replicas = found["metadata"]["generation"], found["spec"]["replicas"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
        status = {"observedGeneration": generation, **counts}
        self.delivery.child("MODIFIED", child_of(self.cluster.put({**found, "status": status}), CHILDREN["Deployment"]))

    async def look(self, name: str = "one") -> float | None:
        """Look at one resource; returns when to look again."""
        return await self.reconciler.reconcile(f"ns/{name}")

    def taken(self) -> list[str]:
        """What was written since the last time this was asked."""
        writes, self.cluster.writes = self.cluster.writes, []
        return writes


def small_facts() -> ModelFacts:
    """Facts of a model that fits one GPU."""
    metadata = lookup(CheckpointRef(MODEL))
    assert metadata is not None
    found = read_facts(metadata)
    assert isinstance(found, ModelFacts)
    return found
