"""DRA: what ResourceSlices of NVIDIA's driver tell of the GPUs of a node, where its labels do not.

Attributes and capacities: cmd/gpu-kubelet-plugin/deviceinfo.go of kubernetes-sigs/dra-driver-nvidia-gpu. They describe; what pods ask for
remains the extended resource.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelserving.cluster.facts import GpuDevice, NodeFacts
from modelserving.cluster.nvidia import (
    GPU_RESOURCE,
    MAJOR_LABEL,
    MIG_RESOURCE,
    MINOR_LABEL,
    is_gpu_resource,
    read_device,
)
from modelserving.units import MIB, QuantityError, parse_whole

NVIDIA_DRIVER = "gpu.nvidia.com"
_VERSION = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class SliceDevice:
    """A device as a driver describes it.

    Attributes:
        profile: MIG profile; empty for a whole GPU.
        product: product in the form of the node label.
        memory_bytes: memory; 0 where it is not stated.
        compute_capability: (major, minor); None where it is not stated.
    """

    profile: str
    product: str
    memory_bytes: int = 0
    compute_capability: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class NodeSlice:
    """One ResourceSlice.

    Attributes:
        node: node its devices are on.
        pool: pool it is a part of.
        generation: of the pool; older ones do not count.
        devices: GPUs.
    """

    node: str
    pool: str
    generation: int
    devices: tuple[SliceDevice, ...]


def node_slice(manifest: Mapping[str, Any]) -> NodeSlice | None:
    """Read a ResourceSlice, v1 or v1beta1; None if it is not of NVIDIA's GPUs on one node."""
    spec = _mapping(manifest.get("spec"))
    node, pool, devices = spec.get("nodeName"), _mapping(spec.get("pool")), spec.get("devices")
    if spec.get("driver") != NVIDIA_DRIVER or not isinstance(node, str) or not node:
        return None
    generation = pool.get("generation")
    read = (_device(_mapping(device)) for device in devices) if isinstance(devices, list) else ()
    return NodeSlice(
        node,
        str(pool.get("name", "")),
        generation if isinstance(generation, int) else 0,
        tuple(device for device in read if device is not None),
    )


def described(node: NodeFacts, slices: Iterable[NodeSlice]) -> NodeFacts:
    """Fill in from ResourceSlices what the labels of a node do not tell. Where both tell, the labels hold."""
    devices = _current([found for found in slices if found.node == node.name])
    if not devices:
        return node
    elsewhere = _as_labels(devices)
    read = tuple(
        read_device(device.resource, device.count, node.labels, elsewhere)
        if device.count and is_gpu_resource(device.resource)
        else device
        for device in node.devices
    )
    if not any(is_gpu_resource(device.resource) for device in read):
        what = ", ".join(sorted({device.product for device in devices}))
        problem = (
            f"its GPUs ({len(devices)} × {what}) are given out by DRA alone, and the pods ask for {GPU_RESOURCE}: "
            "run NVIDIA's device plugin on it"
        )
        read = (*read, GpuDevice(GPU_RESOURCE, problem=problem))
    return replace(node, devices=read)


def _current(slices: Sequence[NodeSlice]) -> list[SliceDevice]:
    """Devices of the newest generation of each pool."""
    newest = {found.pool: max(s.generation for s in slices if s.pool == found.pool) for found in slices}
    return [device for found in slices if found.generation == newest[found.pool] for device in found.devices]


def _as_labels(devices: Iterable[SliceDevice]) -> dict[str, str]:
    """What GPU feature discovery would write of these devices; nothing of kinds that are not all alike."""
    kinds: dict[str, set[SliceDevice]] = {}
    for device in devices:
        kinds.setdefault(device.profile, set()).add(device)
    labels: dict[str, str] = {}
    for profile, alike in kinds.items():
        if len(alike) > 1:
            continue
        (device,) = alike
        resource = MIG_RESOURCE + profile if profile else GPU_RESOURCE
        labels[f"{resource}.product"] = f"{device.product}-MIG-{profile}" if profile else device.product
        if device.memory_bytes:
            labels[f"{resource}.memory"] = str(device.memory_bytes // MIB)
        if device.compute_capability is not None:
            labels[MAJOR_LABEL], labels[MINOR_LABEL] = (str(part) for part in device.compute_capability)
    return labels


def _device(written: Mapping[str, Any]) -> SliceDevice | None:
    # v1beta1 wraps both maps into `basic`.
    inner = _mapping(written.get("basic")) or written
    attributes, capacity = _unqualified(inner.get("attributes")), _unqualified(inner.get("capacity"))
    kind, name = _text(attributes.get("type")), _text(attributes.get("productName"))
    profile = _text(attributes.get("profile")).replace("+", ".") if kind == "mig" else ""
    if kind not in ("gpu", "mig") or not name or (kind == "mig" and not profile):
        return None
    version = _VERSION.fullmatch(_text(attributes.get("cudaComputeCapability")))
    memory = capacity.get("memory")
    return SliceDevice(
        profile,
        name.replace(" ", "-"),
        _bytes(memory.get("value") if isinstance(memory, Mapping) else memory),
        (int(version[1]), int(version[2])) if version else None,
    )


def _unqualified(written: Any) -> dict[str, Any]:
    """Attributes by their name, the driver's domain before it left out."""
    domain = f"{NVIDIA_DRIVER}/"
    return {str(name).removeprefix(domain): value for name, value in _mapping(written).items()}


def _text(attribute: Any) -> str:
    value = _mapping(attribute)
    found = value.get("string", value.get("version"))
    return found[:80] if isinstance(found, str) else ""


def _bytes(written: Any) -> int:
    try:
        return max(0, parse_whole(written)) if written is not None else 0
    except QuantityError:
        return 0


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
