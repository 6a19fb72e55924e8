"""Nodes as the API server tells of them -> what planning may count on.

Total: whatever a node says, it is read, or set aside with a reason.
"""

import re
from collections.abc import Mapping
from typing import Any

from modelserving.cluster.products import Product, find_product, label_problem, usable_memory
from modelserving.cluster.snapshot import NodeFacts, Taint
from modelserving.engine.device import Gpu
from modelserving.units import MIB, QuantityError, parse_millis, parse_whole

GPU_RESOURCE = "nvidia.com/gpu"
PRODUCT_LABEL = "nvidia.com/gpu.product"
MEMORY_LABEL = "nvidia.com/gpu.memory"
MAJOR_LABEL = "nvidia.com/gpu.compute.major"
MINOR_LABEL = "nvidia.com/gpu.compute.minor"
REPLICAS_LABEL = "nvidia.com/gpu.replicas"
SHARING_LABEL = "nvidia.com/gpu.sharing-strategy"
# No machine holds more GPUs behind one kubelet; a larger count is a device plugin gone wrong.
MOST_GPUS_ON_A_NODE = 128
_WHOLE = re.compile(r"[0-9]{1,12}")


def node_facts(manifest: Mapping[str, Any]) -> NodeFacts:
    """Read a Node manifest, as JSON from the API server or YAML from a file."""
    metadata = _mapping(manifest.get("metadata"))
    spec = _mapping(manifest.get("spec"))
    status = _mapping(manifest.get("status"))
    labels = {str(key): str(value) for key, value in _mapping(metadata.get("labels")).items()}
    allocatable = _mapping(status.get("allocatable")) or _mapping(status.get("capacity"))
    count, problem = _gpu_count(allocatable)
    gpu = None
    if count and not problem:
        gpu, problem = _gpu(labels)
    return NodeFacts(
        name=str(metadata.get("name", "")),
        labels=labels,
        taints=_taints(spec.get("taints")),
        ready=_is_ready(status.get("conditions")),
        schedulable=spec.get("unschedulable") is not True,
        gpu_resource=GPU_RESOURCE if count else "",
        gpu_count=count,
        gpu=gpu,
        cpu_millis=_amount(allocatable.get("cpu"), parse_millis),
        memory_bytes=_amount(allocatable.get("memory"), parse_whole),
        problem=problem,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _amount(value: Any, parse: Any) -> int:
    try:
        return max(0, int(parse(value))) if value is not None else 0
    except QuantityError:
        return 0


def _gpu_count(allocatable: Mapping[str, Any]) -> tuple[int, str]:
    written = allocatable.get(GPU_RESOURCE)
    if written is None:
        return 0, ""
    try:
        count = parse_whole(written)
    except QuantityError as error:
        return 0, f"allocatable {GPU_RESOURCE}: {error}"
    if not 0 <= count <= MOST_GPUS_ON_A_NODE:
        return 0, f"allocatable {GPU_RESOURCE} is {count}, which no node has"
    return count, ""


def _gpu(labels: Mapping[str, str]) -> tuple[Gpu | None, str]:
    name = labels.get(PRODUCT_LABEL, "")
    if not name:
        return None, f"has GPUs but no label {PRODUCT_LABEL}; is GPU feature discovery running?"
    if (sharing := _sharing(labels, name)) != "":
        return None, sharing
    product = find_product(name)
    written = labels.get(MEMORY_LABEL)
    if written is None and product is not None:
        label_bytes = product.label_mib * MIB
    elif written is None:
        return None, f"no label {MEMORY_LABEL}, and {name} is no product whose memory is known"
    elif _WHOLE.fullmatch(written):
        label_bytes = int(written) * MIB
    else:
        return None, f"label {MEMORY_LABEL} is {written[:40]!r}, not a number of MiB"
    if wrong := label_problem(label_bytes, product, name):
        return None, wrong
    capability = _capability(labels, product)
    if capability is None:
        return None, f"labels {MAJOR_LABEL} and {MINOR_LABEL} do not tell the compute capability of {name}"
    return Gpu(name, usable_memory(label_bytes, product), capability), ""


def _sharing(labels: Mapping[str, str], product: str) -> str:
    """Shared and sliced GPUs are set aside: a replica of a shared GPU has no memory of its own."""
    if product.upper().endswith("-SHARED") or labels.get(SHARING_LABEL, "none") not in ("none", ""):
        return f"GPUs are shared ({labels.get(SHARING_LABEL) or product}); vLLM needs whole GPUs"
    if labels.get(REPLICAS_LABEL, "1") not in ("0", "1", ""):
        return f"label {REPLICAS_LABEL} is {labels[REPLICAS_LABEL][:40]!r}: GPUs are shared; vLLM needs whole GPUs"
    if "-MIG-" in product.upper():
        return f"GPUs are cut into MIG slices ({product}); only whole GPUs are planned for"
    return ""


def _capability(labels: Mapping[str, str], product: Product | None) -> tuple[int, int] | None:
    major, minor = labels.get(MAJOR_LABEL, ""), labels.get(MINOR_LABEL, "")
    if product is not None:
        return product.compute_capability
    if _WHOLE.fullmatch(major) and _WHOLE.fullmatch(minor) and 1 <= int(major) <= 99 and int(minor) <= 99:
        return int(major), int(minor)
    return None


def _taints(written: Any) -> tuple[Taint, ...]:
    if not isinstance(written, list):
        return ()
    taints = (_mapping(taint) for taint in written)
    return tuple(
        sorted(
            (Taint(str(t.get("key", "")), str(t.get("value") or ""), str(t.get("effect", ""))) for t in taints),
            key=lambda taint: (taint.key, taint.value, taint.effect),
        )
    )


def _is_ready(conditions: Any) -> bool:
    """Ready unless the node says otherwise: a file for the command line may leave conditions out."""
    if not isinstance(conditions, list):
        return True
    stated = [_mapping(c).get("status") for c in conditions if _mapping(c).get("type") == "Ready"]
    return not stated or stated[0] == "True"
