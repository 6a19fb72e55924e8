"""Deployments and Services as the API server tells of them -> what the loop keeps of each.

A whole Deployment is tens of kilobytes of Python objects, and there may be thousands. What is kept is a fingerprint of the part
we own, and that part itself, as JSON text, only until it was compared once with what we render.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelserving.api.modelserving import KIND
from modelserving.controller.resources import DEPLOYMENTS, Resource, key_of
from modelserving.render.names import PLAN_ANNOTATION, RENDERED_ANNOTATION
from modelserving.render.workload import WorkloadObservation, observed

# Annotations that controllers write into Deployments while they act on them.
_FOREIGN_ANNOTATIONS = ("deployment.kubernetes.io/",)


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
        plan: the plan it was made from, as text; empty on a Service, and in the cache, which keeps plans apart.
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
    owned: str | None = field(repr=False, default=None)
    settled: str = ""
    rendered: str = ""
    plan: str = field(repr=False, default="")
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
    owned = json.dumps(
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
        },
        sort_keys=True,
        separators=(",", ":"),
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
        fingerprint=hashlib.blake2b(owned.encode(), digest_size=16).digest(),
        owned=owned,
        rendered=str(annotations.get(RENDERED_ANNOTATION, "")),
        plan=str(annotations.get(PLAN_ANNOTATION, "")),
        workload=_workload(manifest) if resource is DEPLOYMENTS else None,
    )


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
    return observed(manifest, problem=failed[0] if failed else "")
