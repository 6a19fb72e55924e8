"""Pods as the API server tells of them -> what they take of their node."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modelserving.cluster.nodes import GPU_RESOURCE
from modelserving.cluster.snapshot import PodRequests
from modelserving.units import QuantityError, parse_millis, parse_whole

# Label that names the ModelServing a pod belongs to; render.names writes it.
OWNER_LABEL = "modelserving.dev/name"


def pod_requests(manifest: Mapping[str, Any]) -> PodRequests | None:
    """Read what a pod takes, None if it is bound to no node or has finished.

    As the scheduler counts (resource helpers of k8s.io/component-helpers): the larger of the sum over containers and sidecars, and the
    largest init container beside the sidecars before it; plus the pod's overhead.
    """
    metadata, spec, status = (_mapping(manifest.get(key)) for key in ("metadata", "spec", "status"))
    node = spec.get("nodeName")
    if not isinstance(node, str) or not node or status.get("phase") in ("Succeeded", "Failed"):
        return None
    return PodRequests(
        namespace=str(metadata.get("namespace", "default")),
        name=str(metadata.get("name", "")),
        node=node,
        owner=owner_of(manifest),
        gpus=_total(spec, GPU_RESOURCE, parse_whole),
        cpu_millis=_total(spec, "cpu", parse_millis),
        memory_bytes=_total(spec, "memory", parse_whole),
    )


def owner_of(manifest: Mapping[str, Any]) -> str:
    """`namespace/label` of the ModelServing that a pod belongs to; empty for all other pods."""
    metadata = _mapping(manifest.get("metadata"))
    owner = _mapping(metadata.get("labels")).get(OWNER_LABEL)
    return f"{metadata.get('namespace', 'default')}/{owner}" if isinstance(owner, str) else ""


def _total(spec: Mapping[str, Any], resource: str, parse: Callable[[Any], int]) -> int:
    running = sum(_request(container, resource, parse) for container in _containers(spec.get("containers")))
    sidecars = highest_start = 0
    for container in _containers(spec.get("initContainers")):
        amount = _request(container, resource, parse)
        if container.get("restartPolicy") == "Always":
            sidecars += amount
            highest_start = max(highest_start, sidecars)
        else:
            highest_start = max(highest_start, sidecars + amount)
    return max(running + sidecars, highest_start) + _parsed(_mapping(spec.get("overhead")).get(resource), parse)


def _containers(written: Any) -> Iterable[Mapping[str, Any]]:
    return [container for container in written if isinstance(container, Mapping)] if isinstance(written, list) else []


def _request(container: Mapping[str, Any], resource: str, parse: Callable[[Any], int]) -> int:
    resources = _mapping(container.get("resources"))
    written = _mapping(resources.get("requests")).get(resource)
    if written is None:
        written = _mapping(resources.get("limits")).get(resource)
    return _parsed(written, parse)


def _parsed(written: Any, parse: Callable[[Any], int]) -> int:
    try:
        return max(0, parse(written)) if written is not None else 0
    except QuantityError:
        return 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
