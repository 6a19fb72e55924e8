"""GPU products: what CUDA really offers of the memory on the label, and what the chip can do.

A node's label `nvidia.com/gpu.memory` counts what the driver keeps for itself; vLLM budgets on what cudaMemGetInfo reports, which is less.
Planning on the label says "it fits" for models that then run out of memory.
"""

from dataclasses import dataclass

from modelserving.cluster.interconnect import Interconnect
from modelserving.units import GIB, MIB

# Largest gap seen between label and cudaMemGetInfo over all products below (A100 80 GB: 80.00 against 79.14 GiB), rounded up:
# kept for products nobody has measured.
UNMEASURED_RESERVE = 900 * MIB
# Memory of a whole GPU that exists or is announced lies within these; a label outside is no measurement.
SMALLEST_MEMORY = 1 * GIB
LARGEST_MEMORY = 1024 * GIB
# A label may differ from its product's usual value by this share (ECC on or off, driver) before it is taken for a mistake.
LABEL_TOLERANCE = 0.08


@dataclass(frozen=True, slots=True)
class Product:
    """One GPU product.

    Attributes:
        pattern: start of the product label, in capitals, `NVIDIA-` left out.
        label_mib: what the label `nvidia.com/gpu.memory` usually says, in MiB.
        cuda_total_gib: lowest total that vLLM logged for it, in GiB; None where no log was seen.
        compute_capability: (major, minor).
        interconnect: how several of them in one node reach each other.
    """

    pattern: str
    label_mib: int
    cuda_total_gib: float | None
    compute_capability: tuple[int, int]
    interconnect: Interconnect


_SWITCH, _LINK, _PCIE = Interconnect.NVSWITCH, Interconnect.NVLINK, Interconnect.PCIE

# Totals: the lowest of what vLLM start-up logs in public issues state for the product ("Free memory on device … (x/TOTAL GiB)").
# Labels: memory.total of nvidia-smi, which GPU feature discovery writes. Capabilities: NVIDIA's CUDA GPU list.
# Interconnect: NVIDIA's data sheet of each product. SXM boards have an NVSwitch (with four GPUs they are wired to each other, which is
# as fast); NVL cards are bridged. Cards whose bridge is an accessory (A100 PCIe, A30, A40, RTX A6000, RTX 3090) count as PCIe: no label
# tells whether it is there.
PRODUCTS = (
    Product("B300", 275_040, None, (10, 3), _SWITCH),
    Product("B200", 183_359, None, (10, 0), _SWITCH),
    Product("GB300", 284_208, None, (10, 3), _SWITCH),
    Product("GB200", 189_471, None, (10, 0), _SWITCH),
    Product("H200-NVL", 143_771, None, (9, 0), _LINK),
    Product("H200", 143_771, 139.72, (9, 0), _SWITCH),
    Product("GH200-480GB", 97_871, None, (9, 0), _LINK),
    Product("GH200-144G", 147_456, None, (9, 0), _LINK),
    Product("H100-NVL", 95_830, 93.02, (9, 0), _LINK),
    Product("H100-80GB", 81_559, 79.18, (9, 0), _SWITCH),
    Product("H100-PCIE", 81_559, 79.18, (9, 0), _PCIE),
    Product("H800-PCIE", 81_559, None, (9, 0), _PCIE),
    Product("H800", 81_559, None, (9, 0), _SWITCH),
    Product("H20", 97_871, None, (9, 0), _SWITCH),
    Product("A100-SXM4-80GB", 81_920, 79.14, (8, 0), _SWITCH),
    Product("A100-80GB", 81_920, 79.14, (8, 0), _PCIE),
    Product("A100-SXM-80GB", 81_920, 79.14, (8, 0), _SWITCH),
    Product("A100-SXM4-40GB", 40_960, 39.38, (8, 0), _SWITCH),
    Product("A100-PCIE-40GB", 40_960, 39.38, (8, 0), _PCIE),
    Product("A800-SXM4-80GB", 81_920, None, (8, 0), _SWITCH),
    Product("A30", 24_576, None, (8, 0), _PCIE),
    Product("A40", 46_068, 44.99, (8, 6), _PCIE),
    Product("A10G", 23_028, 21.99, (8, 6), _PCIE),
    Product("A10", 23_028, 21.99, (8, 6), _PCIE),
    Product("A16", 15_356, None, (8, 6), _PCIE),
    Product("A2", 15_356, None, (8, 6), _PCIE),
    Product("RTX-A6000", 49_140, None, (8, 6), _PCIE),
    Product("RTX-A5000", 24_564, None, (8, 6), _PCIE),
    Product("L40S", 46_068, 44.31, (8, 9), _PCIE),
    Product("L40", 46_068, None, (8, 9), _PCIE),
    Product("L4", 23_034, None, (8, 9), _PCIE),
    Product("RTX-PRO-6000-BLACKWELL", 97_887, 95.01, (12, 0), _PCIE),
    Product("RTX-6000-ADA-GENERATION", 49_140, None, (8, 9), _PCIE),
    Product("GEFORCE-RTX-5090", 32_607, 31.35, (12, 0), _PCIE),
    Product("GEFORCE-RTX-5080", 16_303, 15.47, (12, 0), _PCIE),
    Product("GEFORCE-RTX-5070-TI", 16_303, 15.47, (12, 0), _PCIE),
    Product("GEFORCE-RTX-4090", 24_564, 23.53, (8, 9), _PCIE),
    Product("GEFORCE-RTX-4080", 16_376, None, (8, 9), _PCIE),
    Product("GEFORCE-RTX-4060", 8_188, None, (8, 9), _PCIE),
    Product("GEFORCE-RTX-3090", 24_576, 23.56, (8, 6), _PCIE),
    Product("GB10", 122_502, 119.63, (12, 1), _PCIE),
    Product("TESLA-T4", 15_360, 14.56, (7, 5), _PCIE),
    Product("TESLA-V100-SXM2-32GB", 32_768, 31.73, (7, 0), _LINK),
    Product("TESLA-V100-PCIE-32GB", 32_768, 31.73, (7, 0), _PCIE),
    Product("TESLA-V100-SXM2-16GB", 16_384, None, (7, 0), _LINK),
)


def find_product(label: str) -> Product | None:
    """Find the product that a `nvidia.com/gpu.product` label names, None if it is not in the table."""
    name = label.upper().removeprefix("NVIDIA-")
    for product in PRODUCTS:
        if name == product.pattern or name.startswith(product.pattern + "-"):
            return product
    return None


def usable_memory(label_bytes: int, product: Product | None) -> int:
    """Bytes that cudaMemGetInfo will report as total on a GPU whose label says `label_bytes`.

    The measured total of the product, less by as much as the label falls short of the usual one; for products nobody measured
    the label less `UNMEASURED_RESERVE`.
    """
    if product is None or product.cuda_total_gib is None:
        return label_bytes - UNMEASURED_RESERVE
    reserved = product.label_mib * MIB - int(product.cuda_total_gib * GIB)
    return label_bytes - max(reserved, 0)


def label_problem(label_bytes: int, product: Product | None, name: str) -> str:
    """Say what is wrong with a memory label, empty if nothing is."""
    if not SMALLEST_MEMORY <= label_bytes <= LARGEST_MEMORY:
        return f"label nvidia.com/gpu.memory says {label_bytes // MIB} MiB, which no GPU has"
    if product is not None:
        usual = product.label_mib * MIB
        if abs(label_bytes - usual) > usual * LABEL_TOLERANCE:
            return f"label nvidia.com/gpu.memory says {label_bytes // MIB} MiB, but {name} has {product.label_mib} MiB"
    return ""
