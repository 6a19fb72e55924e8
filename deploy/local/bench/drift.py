"""Changing what the operator owns by hand, and waiting for it to be put back."""

import copy
import time
from collections.abc import Callable
from typing import Any

from bench.stage import DEPLOYMENTS, Stage
from localcluster import LocalClusterError, wait_for

SERVICES = "/api/v1/namespaces/default/services"
LONGEST_SECONDS = 10.0
"""After so long a change counts as never put back."""

Change = Callable[[dict[str, Any]], None]


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def _image(deployment: dict[str, Any]) -> None:
    _container(deployment)["image"] = "example.com/other:1"


def _variable(deployment: dict[str, Any]) -> None:
    _container(deployment)["env"][0]["value"] = "changed"
    _container(deployment)["env"][0].pop("valueFrom", None)


def _gpus(deployment: dict[str, Any]) -> None:
    for side in ("limits", "requests"):
        if "nvidia.com/gpu" in _container(deployment)["resources"].get(side, {}):
            _container(deployment)["resources"][side]["nvidia.com/gpu"] = "2"


def _argument(deployment: dict[str, Any]) -> None:
    _container(deployment)["args"][-1] = "changed"


def _replicas(deployment: dict[str, Any]) -> None:
    deployment["spec"]["replicas"] = 2


def _label(deployment: dict[str, Any]) -> None:
    deployment["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "hand"


def _pod_label(deployment: dict[str, Any]) -> None:
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    # One that is in the selector must stay: the API server refuses the rest.
    labels[min(labels.keys() - deployment["spec"]["selector"]["matchLabels"].keys())] = "hand"


def _probe(deployment: dict[str, Any]) -> None:
    _container(deployment)["startupProbe"]["failureThreshold"] = 1


def _port(service: dict[str, Any]) -> None:
    service["spec"]["ports"][0]["port"] = 9999


def _selector(service: dict[str, Any]) -> None:
    service["spec"]["selector"] = {"app": "hand"}


CHANGES: dict[str, tuple[str, Change]] = {
    "image": (DEPLOYMENTS, _image),
    "environment": (DEPLOYMENTS, _variable),
    "GPU limit": (DEPLOYMENTS, _gpus),
    "argument": (DEPLOYMENTS, _argument),
    "replicas": (DEPLOYMENTS, _replicas),
    "label": (DEPLOYMENTS, _label),
    "pod label": (DEPLOYMENTS, _pod_label),
    "probe": (DEPLOYMENTS, _probe),
    "Service port": (SERVICES, _port),
    "Service selector": (SERVICES, _selector),
}


def put_back(stage: Stage, name: str, field: str) -> float | None:
    """Change one field by hand and wait until the object's spec and labels are what they were.

    Returns:
        Seconds from the request that changed it to the answer to the operator's last write; None if it was not put back.
    """
    collection, change = CHANGES[field]
    path = f"{collection}/{name}"
    before = _owned(stage.cluster.request("GET", path))
    changed = stage.cluster.request("GET", path)
    change(changed)
    if _owned(changed) == before:
        raise LocalClusterError(f"the change of {field} changes nothing")
    begun = time.time()
    stage.cluster.request("PUT", path, changed)
    try:
        wait_for(lambda: _owned(stage.cluster.request("GET", path)) == before, LONGEST_SECONDS, f"{field} put back")
    except LocalClusterError:
        stage.cluster.request("PUT", path, _merged(stage.cluster.request("GET", path), before))
        return None
    # The audit log tells of the write a moment after the object has it.
    stage.settle(quiet_seconds=1.0, timeout=60)
    resource = collection.rpartition("/")[2]
    ours = [each for each in stage.written(begun) if each.resource == resource and each.name == name]
    return ours[0].answered - begun if ours else None


def _owned(live: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy({"labels": live["metadata"].get("labels"), "spec": live["spec"]})


def _merged(live: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    live["spec"], live["metadata"]["labels"] = before["spec"], before["labels"]
    return live
