"""GPUs of AMD and Intel: recognised, named with their memory, and set aside with the reason.

Why set aside. The operator starts `vllm/vllm-openai`, which is built for CUDA; ROCm and XPU have images of their own. What vLLM does there
differs in what planning decides by: quantization methods are refused by compute capability (engine/quantization.py), which these GPUs do
not have, and the supported list is another (docs.vllm.ai, "Supported Hardware": no AWQ, GPTQ or Marlin kernels, FP8 on MI300 and later);
activation peak, graph memory and the allocator were measured on CUDA only. A plan for them would be a guess in the shape of a plan.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from modelserving.cluster.counts import device_count
from modelserving.cluster.facts import GpuDevice

# amd.com/gpu, and what AMD's device plugin calls partitions with `resource_naming_strategy: mixed`: amd.com/cpx_nps4, amd.com/spx_nps1.
_AMD = re.compile(r"amd\.com/(?:gpu|[sdctq]px(?:_nps[1-8])?)")
# The kernel drivers of Intel's device plugin; `…_monitoring`, `millicores`, `memory.max` and `tiles` count no devices.
_INTEL = re.compile(r"gpu\.intel\.com/(?:i915|xe)")
# The node labeller writes every label twice, with and without `beta.` (ROCm/k8s-device-plugin, cmd/k8s-node-labeller).
_AMD_PREFIXES = ("amd.com/gpu.", "beta.amd.com/gpu.")
_AMD_PRODUCT = re.compile(r"(?:AMD[_ -])?(?:INSTINCT[_ -])?(MI[0-9]{2,3}[A-Z]{0,2})(?:[_ -].*)?", re.IGNORECASE)
_VRAM = re.compile(r"([0-9]{1,4})G")
INTEL_PRODUCT_LABEL = "gpu.intel.com/product"

# PCI device ids, where the labeller names no product: _ROCM_DEVICE_ID_NAME_MAP of vllm/platforms/rocm.py, and AMDGPUAcceleratorManager
# of Ray for the MI350 series.
AMD_DEVICE_IDS = {
    "74a0": "MI300A",
    "74a1": "MI300X",
    "74b5": "MI300X",
    "74a9": "MI300X",
    "74a2": "MI308X",
    "74a5": "MI325X",
    "74b9": "MI325X",
    "75a0": "MI350X",
    "75a3": "MI355X",
}
# GiB of memory on the data sheet, for a person to recognise the GPU by. AMD: "AMD GPU specifications" of the ROCm documentation.
# vLLM logs 191.45 to 191.69 GiB on an MI300X. Intel: specifications of the Data Center GPU Max and Flex series.
MEMORY_GIB = {
    "MI210": 64,
    "MI250": 128,
    "MI250X": 128,
    "MI300A": 128,
    "MI300X": 192,
    "MI308X": 192,
    "MI325X": 256,
    "MI350X": 288,
    "MI355X": 288,
    "Max_1100": 48,
    "Max_1550": 128,
    "Flex_140": 12,
    "Flex_170": 16,
}


def is_foreign_resource(resource: str) -> bool:
    """Whether an extended resource counts GPUs of AMD or Intel."""
    return bool(_AMD.fullmatch(resource) or _INTEL.fullmatch(resource))


def foreign_devices(allocatable: Mapping[str, Any], labels: Mapping[str, str]) -> Iterable[GpuDevice]:
    """Read every kind of device of AMD and Intel that `allocatable` counts, each with the reason why it is set aside."""
    for resource in sorted(filter(is_foreign_resource, allocatable)):
        count, problem = device_count(allocatable, resource)
        if problem or not count:
            if problem:
                yield GpuDevice(resource, problem=problem)
            continue
        vendor = "AMD" if _AMD.fullmatch(resource) else "Intel"
        name, memory = _amd(labels) if vendor == "AMD" else _intel(labels)
        yield GpuDevice(
            resource,
            count,
            problem=f"has {count} × {' '.join(part for part in (vendor, name) if part)}{memory} ({resource}): the vLLM image "
            f"that is served is built for CUDA and does not run on GPUs of {vendor}, and they are not planned for",
        )


def _amd(labels: Mapping[str, str]) -> tuple[str, str]:
    """(product, memory for a person) as far as AMD's node labeller tells."""
    written = _amd_label("product-name", labels)
    match = _AMD_PRODUCT.fullmatch(written)
    name = match[1].upper() if match else AMD_DEVICE_IDS.get(_amd_label("device-id", labels).lower(), "")
    vram = _VRAM.fullmatch(_amd_label("vram", labels))
    gib = int(vram[1]) if vram else MEMORY_GIB.get(name)
    family = _amd_label("family", labels)
    shown = name or written[:40].replace("_", " ") or (f"GPU of family {family[:12]}" if family else "GPU")
    return shown, f" with {gib} GiB each" if gib else ""


def _amd_label(name: str, labels: Mapping[str, str]) -> str:
    """A label of the node labeller; the oldest write the value into the key: `beta.amd.com/gpu.vram.16G=1`."""
    for prefix in _AMD_PREFIXES:
        if value := labels.get(prefix + name):
            return value
    start = f"{_AMD_PREFIXES[1]}{name}."
    return next((key.removeprefix(start) for key in sorted(labels) if key.startswith(start)), "")


def _intel(labels: Mapping[str, str]) -> tuple[str, str]:
    """(product, memory for a person) as far as the rules of node feature discovery tell."""
    name = labels.get(INTEL_PRODUCT_LABEL, "")[:40]
    family = labels.get("gpu.intel.com/family", "")[:40]
    gib = MEMORY_GIB.get(name)
    return (name or family or "GPU").replace("_", " "), f" with {gib} GiB each" if gib else ""
