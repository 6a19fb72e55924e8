"""What the loop knows of ModelServings, Deployments and Services without asking. Projections only.

Watches, full lists and the answers to own writes all end here. What is older than what is known already is ignored, by
resourceVersion: the answer to a write often overtakes the watch.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic_core import from_json, to_json

from modelserving.controller.children import Child, Kept, version_of
from modelserving.controller.pods import pods_key
from modelserving.controller.resources import key_of


class Change(Enum):
    """What an event meant for a key."""

    NOTHING = "nothing"
    PROGRESS = "progress"
    DESIRED = "desired"


@dataclass(frozen=True, slots=True)
class Serving:
    """A ModelServing.

    Attributes:
        key: `namespace/name`.
        uid: which one it is.
        version: resourceVersion as a number.
        generation: of its spec.
        observed_generation: generation that its status is about.
        deleting: whether it is being deleted.
        text: apiVersion, kind, metadata (name, namespace, uid, generation), spec and status, as JSON.
    """

    key: str
    uid: str
    version: int
    generation: int
    observed_generation: int
    deleting: bool
    text: bytes = field(repr=False)

    @property
    def settled(self) -> bool:
        """Whether its status tells of its spec as it is now."""
        return self.observed_generation == self.generation

    def manifest(self) -> dict[str, Any]:
        """The resource as a manifest."""
        manifest: dict[str, Any] = from_json(self.text)
        return manifest


def serving_of(manifest: Mapping[str, Any]) -> Serving:
    """Read a ModelServing as JSON from the API server, however odd its spec and status are."""
    metadata = manifest["metadata"]
    status = manifest.get("status")
    kept = {name: metadata[name] for name in ("name", "namespace", "uid", "generation") if name in metadata}
    observed = status.get("observedGeneration") if isinstance(status, Mapping) else None
    return Serving(
        key=key_of(str(metadata.get("namespace", "")), str(metadata["name"])),
        uid=str(metadata.get("uid", "")),
        version=version_of(metadata),
        generation=int(metadata.get("generation", 0)),
        observed_generation=observed if isinstance(observed, int) else -1,
        deleting="deletionTimestamp" in metadata,
        text=to_json(
            {
                "apiVersion": manifest.get("apiVersion"),
                "kind": manifest.get("kind"),
                "metadata": kept,
                "spec": manifest.get("spec"),
                "status": status,
            }
        ),
    )


class Cache:
    """The maps."""

    def __init__(self) -> None:
        self._servings: dict[str, Serving] = {}
        self._children: dict[tuple[str, str, str], Child] = {}
        self._plans: dict[str, tuple[str, Kept]] = {}
        self._names: dict[tuple[str, str], str] = {}

    def serving(self, key: str) -> Serving | None:
        """A ModelServing, if there is one."""
        return self._servings.get(key)

    def known_keys(self) -> tuple[str, ...]:
        """Keys of all ModelServings."""
        return tuple(self._servings)

    def put_serving(self, serving: Serving) -> Change:
        """Take a ModelServing; tells what is new in it."""
        before = self._servings.get(serving.key)
        if before is not None and before.uid == serving.uid and serving.version <= before.version:
            return Change.NOTHING
        self._servings[serving.key] = serving
        if before is None or before.uid != serving.uid:
            self._forget_plan(serving.key, serving.uid)
            return Change.DESIRED
        if before.generation != serving.generation or before.deleting != serving.deleting:
            return Change.DESIRED
        return Change.NOTHING if before.text == serving.text else Change.PROGRESS

    def remove_serving(self, key: str, uid: str = "") -> bool:
        """Forget a ModelServing, unless another one of that name is known by now."""
        known = self._servings.get(key)
        if known is None or (uid and known.uid != uid):
            return False
        del self._servings[key]
        self._forget_plan(key, "")
        for name, holder in list(self._names.items()):
            if holder == key:
                del self._names[name]
        return True

    def child(self, kind: str, namespace: str, name: str) -> Child | None:
        """A Deployment or Service of ours, if there is one."""
        return self._children.get((kind, namespace, name))

    def children(self, kind: str) -> tuple[Child, ...]:
        """All Deployments, or all Services."""
        return tuple(child for child in self._children.values() if child.kind == kind)

    def put_child(self, child: Child) -> Change:
        """Take a Deployment or Service; tells what is new in it."""
        before = self._children.get(child.where)
        if before is not None and before.uid == child.uid and child.version <= before.version:
            return Change.NOTHING
        if before is not None and before.uid == child.uid and not child.owner_uid:
            # Somebody took the owner reference away under our eyes: it stays ours, and is put back.
            child = dataclasses.replace(child, owner=before.owner, owner_uid=before.owner_uid)
        if child.kept.plan and child.owner_uid and child.owner not in self._plans:
            self._plans[child.owner] = (child.owner_uid, child.kept)
        # Kept once, not with every copy of the Deployment.
        child = dataclasses.replace(child, kept=Kept())
        same = before is not None and before.uid == child.uid and before.fingerprint == child.fingerprint
        if before is not None and same and before.owned is None:
            child = dataclasses.replace(child, owned=None, settled=before.settled)
        self._children[child.where] = child
        if before is None or not same or before.deleting != child.deleting:
            return Change.DESIRED
        return Change.PROGRESS if before.workload != child.workload else Change.NOTHING

    def settle_child(self, child: Child, digest: str) -> None:
        """Note that a child is what the manifest with this digest says."""
        known = self._children.get(child.where)
        if known is not None and known.fingerprint == child.fingerprint:
            self._children[child.where] = dataclasses.replace(known, owned=None, settled=digest)

    def remove_child(self, kind: str, namespace: str, name: str, uid: str = "") -> Child | None:
        """Forget a child, unless another one of that name is known by now; returns what it was."""
        known = self._children.get((kind, namespace, name))
        if known is None or (uid and known.uid != uid):
            return None
        return self._children.pop(known.where)

    def kept(self, serving: Serving) -> Kept:
        """The plan in force, and the spec that it answered; both empty where there is none.

        They live as annotations on the Deployment. A copy stays here, so that a Deployment deleted by hand comes back as it was.
        """
        uid, kept = self._plans.get(serving.key, ("", Kept()))
        return kept if uid == serving.uid else Kept()

    def keep(self, serving: Serving, kept: Kept) -> None:
        """Note the plan in force; an empty one: none."""
        if kept.plan:
            self._plans[serving.key] = (serving.uid, kept)
        else:
            self._plans.pop(serving.key, None)

    def key_of_pods(self, owner: str) -> str:
        """The key of the ModelServing that pods name as theirs; empty where there is none."""
        if owner in self._servings:
            return owner
        return next((key for key in self._servings if len(key) > len(owner) and pods_key(key) == owner), "")

    def holder(self, namespace: str, name: str) -> str:
        """The key that reserved the name of a workload; empty if none did."""
        return self._names.get((namespace, name), "")

    def claim(self, namespace: str, name: str, key: str) -> str:
        """Reserve the name of a workload; returns the key that holds it, which is another one's where it was first."""
        return self._names.setdefault((namespace, name), key)

    def _forget_plan(self, key: str, uid: str) -> None:
        if self._plans.get(key, ("", Kept()))[0] != uid:
            self._plans.pop(key, None)
