"""NVIDIA's devices on a node: whole GPUs and MIG slices, told apart by resource name and by GPU feature discovery's labels.

    strategy  resource                 labels
    none      nvidia.com/gpu           nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3
    single    nvidia.com/gpu           nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3-MIG-3g.40gb
    mixed     nvidia.com/mig-3g.40gb   nvidia.com/mig-3g.40gb.product=NVIDIA-H100-80GB-HBM3-MIG-3g.40gb

Names and meaning of the labels: docs/gpu-feature-discovery of NVIDIA/k8s-device-plugin.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from modelserving.cluster.counts import device_count
from modelserving.cluster.facts import GpuDevice
from modelserving.cluster.interconnect import Interconnect
from modelserving.cluster.mig import find_slice, is_mig, slice_problem, usable_slice_memory
from modelserving.cluster.products import Product, find_product, label_problem, usable_memory
from modelserving.engine.device import Gpu
from modelserving.units import MIB

GPU_RESOURCE = "nvidia.com/gpu"
MIG_RESOURCE = "nvidia.com/mig-"
# k8s.io/api/core/v1, LabelHostname: the kubelet sets it on every node.
HOSTNAME_LABEL = "kubernetes.io/hostname"
PRODUCT_LABEL = "nvidia.com/gpu.product"
MEMORY_LABEL = "nvidia.com/gpu.memory"
MAJOR_LABEL = "nvidia.com/gpu.compute.major"
MINOR_LABEL = "nvidia.com/gpu.compute.minor"
MIG_STATE_LABEL = "nvidia.com/mig.config.state"
# While the MIG manager cuts the GPUs anew, neither counts nor labels hold (mig-manager of NVIDIA/mig-parted).
_CUTTING = ("pending", "rebooting")
# Resource names that the device plugin gives to shared GPUs where it is told to rename them (`renameByDefault`).
_SHARED_RESOURCE = ".shared"
_WHOLE = re.compile(r"[0-9]{1,12}")
_LONGEST_SHOWN = 40


def is_gpu_resource(resource: str) -> bool:
    """Whether an extended resource counts NVIDIA GPUs, whole, sliced or shared."""
    return resource == GPU_RESOURCE or resource.startswith((MIG_RESOURCE, GPU_RESOURCE + _SHARED_RESOURCE))


def nvidia_devices(allocatable: Mapping[str, Any], labels: Mapping[str, str]) -> Iterable[GpuDevice]:
    """Read every kind of device that `allocatable` counts; kinds without a device are left out."""
    for resource in sorted(filter(is_gpu_resource, allocatable)):
        count, problem = device_count(allocatable, resource)
        if problem:
            yield GpuDevice(resource, problem=problem)
        elif count:
            yield read_device(resource, count, labels)


def read_device(resource: str, count: int, labels: Mapping[str, str], elsewhere: Mapping[str, str] = {}) -> GpuDevice:
    """Read what the devices behind a resource are.

    Args:
        resource: extended resource.
        count: how many the node offers.
        labels: the node's labels.
        elsewhere: the same labels as another source has them, where the node lacks them.
    """
    known = {**elsewhere, **labels}
    product, named_by = _product(resource, known)
    sliced = is_mig(product)
    if problem := _not_countable(resource, count, known, product):
        return GpuDevice(resource, count, is_slice=sliced, problem=problem)
    read = _slice(product, resource, known) if sliced else _whole(product, known)
    if isinstance(read, str):
        return GpuDevice(resource, count, is_slice=sliced, problem=read)
    return GpuDevice(
        resource,
        count,
        read,
        interconnect=Interconnect.NONE if sliced else _interconnect(product),
        is_slice=sliced,
        selector=_selector(named_by, labels),
    )


def _selector(named_by: str, labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels for pods to ask for; a node that does not bear the product's label is asked for by its host name."""
    label = next((name for name in (named_by, HOSTNAME_LABEL) if name in labels), None)
    return ((label, labels[label]),) if label is not None else ()


def _product(resource: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """(product label, the label that says so); a profile in the resource's name stands in for a label of its own."""
    own = f"{resource}.product"
    if labels.get(own) or resource == GPU_RESOURCE:
        return labels.get(own, ""), own
    parent = labels.get(PRODUCT_LABEL, "")
    return (f"{parent}-MIG-{resource.removeprefix(MIG_RESOURCE)}" if parent else ""), PRODUCT_LABEL


def _not_countable(resource: str, count: int, labels: Mapping[str, str], product: str) -> str:
    """Say why the number of devices is not the number of GPUs, or may change at any moment; empty if it is to be trusted."""
    state = labels.get(MIG_STATE_LABEL, "")
    if state in _CUTTING:
        return f"label {MIG_STATE_LABEL} is {state}: its GPUs are being cut into MIG slices anew"
    if sharing := _sharing(resource, labels, product):
        return sharing
    if not product:
        return f"has {resource} but no label {resource}.product; is GPU feature discovery running?"
    stated = labels.get(f"{resource}.count", "")
    if _WHOLE.fullmatch(stated) and 0 < int(stated) < count:
        return (
            f"allocatable {resource} is {count}, but label {resource}.count says {stated}: GPUs are shared, "
            "of several products, or the labels are out of date"
        )
    return ""


def _sharing(resource: str, labels: Mapping[str, str], product: str) -> str:
    """Shared GPUs (time-slicing, MPS) are set aside: a replica of a GPU has no memory of its own, however many there are."""
    strategy, replicas = labels.get(f"{resource}.sharing-strategy", ""), labels.get(f"{resource}.replicas", "")
    if strategy not in ("none", ""):
        return f"GPUs are shared ({strategy[:_LONGEST_SHOWN]}); vLLM needs GPUs, or MIG slices, of its own"
    if product.upper().endswith("-SHARED") or resource.endswith(_SHARED_RESOURCE):
        return f"GPUs are shared ({product or resource}); vLLM needs GPUs, or MIG slices, of its own"
    if replicas not in ("0", "1", ""):
        shown = repr(replicas[:_LONGEST_SHOWN])
        return f"label {resource}.replicas is {shown}: GPUs are shared; vLLM needs GPUs, or MIG slices, of its own"
    return ""


def _whole(name: str, labels: Mapping[str, str]) -> Gpu | str:
    product = find_product(name)
    label_bytes = _memory(MEMORY_LABEL, labels)
    if label_bytes is None and product is not None:
        label_bytes = product.label_mib * MIB
    if label_bytes is None:
        return f"no label {MEMORY_LABEL}, and {name} is no product whose memory is known"
    if isinstance(label_bytes, str):
        return label_bytes
    if wrong := label_problem(label_bytes, product, name):
        return wrong
    return _with_capability(name, usable_memory(label_bytes, product), product, labels)


def _slice(name: str, resource: str, labels: Mapping[str, str]) -> Gpu | str:
    found = find_slice(name)
    if found is None:
        return f"label {resource}.product is {name[:80]!r}, which names no MIG profile"
    label = f"{resource}.memory"
    label_bytes = _memory(label, labels)
    if label_bytes is None:
        return f"no label {label}: the name of profile {found.profile} does not tell its memory"
    if isinstance(label_bytes, str):
        return label_bytes
    if wrong := slice_problem(label_bytes, found, label):
        return wrong
    return _with_capability(name, usable_slice_memory(label_bytes), find_product(found.parent), labels)


def _memory(label: str, labels: Mapping[str, str]) -> int | str | None:
    """Bytes that a memory label states; the sentence that says what is wrong with it; None where there is none."""
    written = labels.get(label)
    if written is None:
        return None
    if not _WHOLE.fullmatch(written):
        return f"label {label} is {written[:_LONGEST_SHOWN]!r}, not a number of MiB"
    return int(written) * MIB


def _with_capability(name: str, total_bytes: int, product: Product | None, labels: Mapping[str, str]) -> Gpu | str:
    if product is not None:
        return Gpu(name, total_bytes, product.compute_capability)
    major, minor = labels.get(MAJOR_LABEL, ""), labels.get(MINOR_LABEL, "")
    if _WHOLE.fullmatch(major) and _WHOLE.fullmatch(minor) and 1 <= int(major) <= 99 and int(minor) <= 99:
        return Gpu(name, total_bytes, (int(major), int(minor)))
    return f"labels {MAJOR_LABEL} and {MINOR_LABEL} do not tell the compute capability of {name}"


def _interconnect(name: str) -> Interconnect:
    product = find_product(name)
    return product.interconnect if product is not None else Interconnect.PCIE
