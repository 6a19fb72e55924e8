"""Nodes as the API server tells of them -> what planning may count on.

Total: whatever a node says, it is read, or set aside with a reason.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from modelserving.cluster.facts import GpuDevice, NodeFacts, Taint
from modelserving.cluster.nvidia import GPU_RESOURCE, is_gpu_resource, nvidia_devices
from modelserving.cluster.other_vendors import foreign_devices, is_foreign_resource
from modelserving.units import QuantityError, parse_millis, parse_whole


def node_facts(manifest: Mapping[str, Any]) -> NodeFacts:
    """Read a Node manifest, as JSON from the API server or YAML from a file."""
    metadata = _mapping(manifest.get("metadata"))
    spec = _mapping(manifest.get("spec"))
    status = _mapping(manifest.get("status"))
    labels = {str(key): str(value) for key, value in _mapping(metadata.get("labels")).items()}
    allocatable = _mapping(status.get("allocatable")) or _mapping(status.get("capacity"))
    allocatable = {str(name): amount for name, amount in allocatable.items()}
    return NodeFacts(
        name=str(metadata.get("name", "")),
        labels=labels,
        taints=_alike(taints_of(spec.get("taints"))),
        ready=_is_ready(status.get("conditions")),
        schedulable=spec.get("unschedulable") is not True,
        devices=_shared(devices_of(allocatable, labels)),
        cpu_millis=_amount(allocatable.get("cpu"), parse_millis) or 0,
        memory_bytes=_amount(allocatable.get("memory"), parse_whole) or 0,
        ephemeral_bytes=_amount(allocatable.get("ephemeral-storage"), parse_whole),
        pods=_amount(allocatable.get("pods"), parse_whole),
    )


def counts_gpus(resource: str) -> bool:
    """Whether an extended resource counts GPUs, of whatever vendor."""
    return is_gpu_resource(resource) or is_foreign_resource(resource)


def devices_of(allocatable: Mapping[str, Any], labels: Mapping[str, str]) -> tuple[GpuDevice, ...]:
    """Read every kind of GPU that a node offers: whole ones first, then by the name of their resource."""
    found = [*nvidia_devices(allocatable, labels), *foreign_devices(allocatable, labels)]
    return tuple(sorted(found, key=lambda device: (device.resource != GPU_RESOURCE, device.resource)))


@lru_cache(maxsize=4096)
def _shared(devices: tuple[GpuDevice, ...]) -> tuple[GpuDevice, ...]:
    """One value for all nodes that offer the same: a cluster has few kinds, and they are compared at every change."""
    return devices


@lru_cache(maxsize=4096)
def _alike(taints: tuple[Taint, ...]) -> tuple[Taint, ...]:
    """One value for all nodes that have the same."""
    return taints


def taints_of(written: Any) -> tuple[Taint, ...]:
    """Read `spec.taints`, in the order of keys."""
    if not isinstance(written, list):
        return ()
    taints = (_mapping(taint) for taint in written)
    return tuple(
        sorted(
            (Taint(str(t.get("key", "")), str(t.get("value") or ""), str(t.get("effect", ""))) for t in taints),
            key=lambda taint: (taint.key, taint.value, taint.effect),
        )
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _amount(value: Any, parse: Callable[[Any], int]) -> int | None:
    """An amount, 0 where it is none; None where the node does not say."""
    try:
        return max(0, parse(value)) if value is not None else None
    except QuantityError:
        return 0


def _is_ready(conditions: Any) -> bool:
    """Ready unless the node says otherwise: a file for the command line may leave conditions out."""
    if not isinstance(conditions, list):
        return True
    stated = [_mapping(c).get("status") for c in conditions if _mapping(c).get("type") == "Ready"]
    return not stated or stated[0] == "True"
