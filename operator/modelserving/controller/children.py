"""Deployments and Services as the API server tells of them -> what the loop keeps of each.

A whole Deployment is tens of kilobytes of Python objects, and there may be thousands. What is kept is a fingerprint of the part
we own, and that part itself, as JSON text, only until it was compared once with what we render.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from modelserving.api.modelserving import KIND
from modelserving.api.reasons import Reason
from modelserving.controller.resources import DEPLOYMENTS, Resource, key_of
from modelserving.render.names import MANAGER, PLAN_ANNOTATION, RENDERED_ANNOTATION, SPEC_ANNOTATION
from modelserving.render.workload import WorkloadObservation, observed

# Annotations that controllers write into Deployments while they act on them.
_FOREIGN_ANNOTATIONS = ("deployment.kubernetes.io/",)
# Name by which the controller manager writes its own annotations.
_CONTROLLERS = "kube-controller-manager"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a workload was made from.

    Attributes:
        plan: the plan in force, as text; empty where there is none.
        spec: the spec that it answered, as JSON; empty where it was too long to be kept.
    """

    plan: str = field(repr=False, default="")
    spec: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Child:
    """A Deployment or a Service.

    Attributes:
        kind: `Deployment` or `Service`.
        namespace: where it is.
        name: its name.
        uid: which one it is.
        version: resourceVersion as a number; higher is newer.
        owner: `namespace/name` of the ModelServing that controls it; empty where none does.
        owner_uid: which ModelServing that was.
        deleting: whether it is being deleted.
        fingerprint: digest of the part that can be ours: metadata and spec.
        owned: that part as JSON; None once it was found to be what we render.
        settled: digest of the rendered manifest it was found to equal; empty until then.
        rendered: digest of the manifest that it was last made from, as its annotation says; empty where that is missing.
        kept: the plan and the spec it was made from; empty on a Service, and in the cache, which keeps them apart.
        manager: who else changed it last, as its managed fields tell; empty where nobody did.
        workload: how its pods are doing; None on a Service.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    version: int
    owner: str
    owner_uid: str
    deleting: bool
    fingerprint: bytes
    owned: bytes | None = field(repr=False, default=None)
    settled: str = ""
    rendered: str = ""
    kept: Kept = field(repr=False, default=Kept())
    manager: str = ""
    workload: WorkloadObservation | None = None

    @property
    def where(self) -> tuple[str, str, str]:
        """Kind, namespace and name."""
        return self.kind, self.namespace, self.name


def child_of(manifest: Mapping[str, Any], resource: Resource) -> Child:
    """Read a Deployment or Service as JSON from the API server (items of a LIST carry no kind of their own)."""
    metadata = manifest["metadata"]
    namespace = str(metadata.get("namespace", ""))
    owner, owner_uid = _controller(metadata, namespace)
    annotations = {
        name: value
        for name, value in (metadata.get("annotations") or {}).items()
        if not name.startswith(_FOREIGN_ANNOTATIONS)
    }
    owned = to_json(
        {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": metadata["name"],
                "namespace": namespace,
                "labels": metadata.get("labels") or {},
                "annotations": annotations,
                "ownerReferences": metadata.get("ownerReferences") or [],
            },
            "spec": manifest.get("spec") or {},
        }
    )
    return Child(
        kind=resource.kind,
        namespace=namespace,
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        version=version_of(metadata),
        owner=owner,
        owner_uid=owner_uid,
        deleting="deletionTimestamp" in metadata,
        fingerprint=hashlib.blake2b(owned, digest_size=16).digest(),
        owned=owned,
        rendered=str(annotations.get(RENDERED_ANNOTATION, "")),
        kept=Kept(str(annotations.get(PLAN_ANNOTATION, "")), str(annotations.get(SPEC_ANNOTATION, ""))),
        manager=_last_manager(metadata),
        workload=_workload(manifest) if resource is DEPLOYMENTS else None,
    )


def _last_manager(metadata: Mapping[str, Any]) -> str:
    """Who else wrote the object last; status writers and controllers of Kubernetes itself write status and annotations only."""
    entries = metadata.get("managedFields")
    others = [
        (str(entry.get("time", "")), str(entry.get("manager", "")))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping)
        and entry.get("manager") not in (MANAGER, _CONTROLLERS)
        and not entry.get("subresource")
    ]
    return max(others, default=("", ""))[1]


def version_of(metadata: Mapping[str, Any]) -> int:
    """The resourceVersion as a number; 0 where it is none. Kubernetes compares them as numbers since 1.35."""
    version = str(metadata.get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0


def _controller(metadata: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    for reference in metadata.get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") == KIND:
            return key_of(namespace, str(reference.get("name", ""))), str(reference.get("uid", ""))
    return "", ""


def _workload(manifest: Mapping[str, Any]) -> WorkloadObservation:
    failed = [
        str(condition.get("message", ""))
        for condition in (manifest.get("status") or {}).get("conditions") or ()
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
    ]
    return observed(manifest, failed[0], Reason.PODS_NOT_CREATED) if failed else observed(manifest)
