"""Pods as the API server tells of them -> what they take of their node."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modelserving.cluster.facts import PodRequests
from modelserving.cluster.nodes import counts_gpus
from modelserving.units import QuantityError, parse_millis, parse_whole

# Label that names the ModelServing a pod belongs to; render.names writes it.
OWNER_LABEL = "modelserving.dev/name"


def pod_requests(manifest: Mapping[str, Any]) -> PodRequests | None:
    """Read what a pod takes, None if it takes nothing: it has finished, or is bound to no node and not ours.

    A pod of ours that is bound to no node counts with the quotas of its namespace already.

    As the scheduler counts (resource helpers of k8s.io/component-helpers): the larger of the sum over containers and sidecars, and the
    largest init container beside the sidecars before it; plus the pod's overhead.
    """
    metadata, spec, status = (_mapping(manifest.get(key)) for key in ("metadata", "spec", "status"))
    node, owner = spec.get("nodeName"), owner_of(manifest)
    node = node if isinstance(node, str) else ""
    if not (node or owner) or status.get("phase") in ("Succeeded", "Failed"):
        return None
    return PodRequests(
        namespace=str(metadata.get("namespace", "default")),
        name=str(metadata.get("name", "")),
        node=node,
        owner=owner,
        devices=tuple(
            (resource, count)
            for resource in sorted(_gpu_resources(spec))
            if (count := _total(spec, resource, parse_whole)) > 0
        ),
        cpu_millis=_total(spec, "cpu", parse_millis),
        memory_bytes=_total(spec, "memory", parse_whole),
        ephemeral_bytes=_total(spec, "ephemeral-storage", parse_whole),
    )


def owner_of(manifest: Mapping[str, Any]) -> str:
    """`namespace/label` of the ModelServing that a pod belongs to; empty for all other pods."""
    metadata = _mapping(manifest.get("metadata"))
    owner = _mapping(metadata.get("labels")).get(OWNER_LABEL)
    return f"{metadata.get('namespace', 'default')}/{owner}" if isinstance(owner, str) else ""


def _gpu_resources(spec: Mapping[str, Any]) -> set[str]:
    """Name the extended resources for GPUs that any container asks for."""
    containers = [*_containers(spec.get("containers")), *_containers(spec.get("initContainers"))]
    parts = [_mapping(container.get("resources")) for container in containers]
    named = [
        *_mapping(spec.get("overhead")),
        *(name for p in parts for part in ("requests", "limits") for name in _mapping(p.get(part))),
    ]
    return {str(name) for name in named if counts_gpus(str(name))}


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
