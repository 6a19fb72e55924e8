"""Names that people give to a GPU -> the GPU that vLLM would see."""

import re

from modelserving.cluster.products import PRODUCTS, Product, find_product, usable_memory
from modelserving.engine.device import Gpu
from modelserving.units import GIB, MIB, format_gib

# Words that do not tell one GPU from another: makers, lines, form factors.
_NOISE = frozenset(
    {
        *("NVIDIA", "TESLA", "GEFORCE", "GPU", "SERVER", "EDITION", "WORKSTATION", "GENERATION"),
        *("SXM", "SXM2", "SXM4", "SXM5", "PCIE", "HBM3", "HBM2E"),
    }
)
_WORD = re.compile(r"[A-Z0-9]+")
_CAPACITY = re.compile(r"([0-9]{1,4})(?:GB|GIB|G)")
# A capacity in a name is in round GB; what the driver's label says lies this near.
_CAPACITY_TOLERANCE = 0.08
_LONGEST_NAME = 80
# Memory that a driver reports differs by this much between machines with the same product.
_SAME_MEMORY = 0.012


def find_gpu(name: str | None, memory_total_bytes: int | None) -> tuple[Gpu, tuple[str, ...]] | str:
    """(GPU, assumptions) for a product label or short name, or the sentence that says why there is none.

    Args:
        name: `nvidia.com/gpu.product` label, or a short name such as `H100-80GB`; None: found by its memory.
        memory_total_bytes: what the driver reports as total; None: the product's.
    """
    if name is None:
        return _by_memory(memory_total_bytes)
    product = find_product(name[:_LONGEST_NAME]) or _by_words(name[:_LONGEST_NAME])
    if product is None:
        known = ", ".join(product.pattern for product in PRODUCTS[:6])
        return f"there are no facts of a GPU called {name[:_LONGEST_NAME]!r}; name its product label, such as {known}"
    total = memory_total_bytes or usable_memory(product.label_mib * MIB, product)
    return Gpu(_label(name, product), total, product.compute_capability), ()


def _label(name: str, product: Product) -> str:
    return name[:_LONGEST_NAME] if find_product(name) is not None else product.pattern


def _by_words(name: str) -> Product | None:
    """The first product of the same words and, where one is named, about the same capacity; remarks in brackets apart."""
    words, capacities = _parts(name.partition("(")[0])
    for product in PRODUCTS:
        theirs, _ = _parts(product.pattern)
        gib = product.label_mib * MIB / GIB
        if words == theirs and all(abs(size - gib) <= _CAPACITY_TOLERANCE * size for size in capacities):
            return product
    return None


def _parts(name: str) -> tuple[frozenset[str], tuple[int, ...]]:
    """(words that name a GPU, capacities in GB)."""
    words = [word for word in _WORD.findall(name.upper()) if word not in _NOISE]
    found = {word: match for word in words if (match := _CAPACITY.fullmatch(word))}
    return frozenset(words) - found.keys(), tuple(int(match[1]) for match in found.values())


def _by_memory(memory_total_bytes: int | None) -> tuple[Gpu, tuple[str, ...]] | str:
    """The first product that reports about as much memory."""
    if memory_total_bytes is None:
        return "neither a GPU nor its memory is named; name a product label, such as NVIDIA-H100-80GB-HBM3"
    for product in PRODUCTS:
        total = usable_memory(product.label_mib * MIB, product)
        if abs(total - memory_total_bytes) <= _SAME_MEMORY * total:
            gpu = Gpu(product.pattern, memory_total_bytes, product.compute_capability)
            return gpu, (f"no GPU was named: taken for {product.pattern} by its {format_gib(memory_total_bytes)}",)
    return f"no GPU is named, and none that is known has {format_gib(memory_total_bytes)}; name its product label"
