"""Pods as the API server tells of them -> what the loop keeps of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelserving.cluster.pods import owner_of, pod_requests
from modelserving.cluster.snapshot import PodRequests
from modelserving.controller.resources import key_of
from modelserving.render.names import owner_label
from modelserving.render.troubles import Trouble, trouble_of


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod.

    Attributes:
        uid: which one it is.
        requests: what it takes of its node; None where it is bound to none, or has ended.
        owner: `namespace/label` of the ModelServing it belongs to; empty for all other pods.
        trouble: what keeps it from answering; None where nothing does, and for other pods.
    """

    uid: str
    requests: PodRequests | None
    owner: str = ""
    trouble: Trouble | None = None


def pod_of(manifest: Mapping[str, Any]) -> Pod:
    """Read a pod as JSON from the API server."""
    owner = owner_of(manifest)
    uid = str(manifest["metadata"]["uid"])
    return Pod(uid, pod_requests(manifest), owner, trouble_of(manifest) if owner else None)


def pods_key(key: str) -> str:
    """The key of a ModelServing as its pods' label tells it: names too long for a label are cut there."""
    namespace, name = key.split("/", 1)
    return key_of(namespace, owner_label(name))
