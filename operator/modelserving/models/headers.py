"""Safetensors headers: tensors folded into groups, totals unfolded from them.

A model of 60 layers with 128 experts has tens of thousands of tensors and a few dozen kinds of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from modelserving.models.metadata import TensorGroup

# Bits of an element by safetensors name (safetensors 0.6, `Dtype`).
DTYPE_BITS: Mapping[str, int] = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
}


def fold(headers: Iterable[tuple[str, str, tuple[int, ...]]]) -> tuple[TensorGroup, ...]:
    """Fold (name, dtype, shape) of every tensor into groups by pattern, dtype and shape, in order of first sight."""
    counts: dict[tuple[str, tuple[int, ...], str], int] = defaultdict(int)
    indices: dict[tuple[str, tuple[int, ...], str], set[int]] = defaultdict(set)
    for name, dtype, shape in headers:
        components = name.split(".")
        numbers = [component for component in components if _is_index(component)]
        pattern = ".".join("*" if _is_index(component) else component for component in components)
        key = (pattern, tuple(shape), dtype)
        counts[key] += 1
        if numbers:
            indices[key].add(int(numbers[0]))
    return tuple(
        TensorGroup(pattern, shape, dtype, count, tuple(sorted(indices[pattern, shape, dtype])))
        for (pattern, shape, dtype), count in counts.items()
    )


def _is_index(component: str) -> bool:
    # More digits than any index has would make int() refuse; such a component is a name.
    return component.isascii() and component.isdigit() and len(component) <= 9


def names(group: TensorGroup) -> Iterator[str]:
    """Names of a group's tensors; components after the first index stay `*`."""
    if not group.layers:
        yield group.pattern
    for index in group.layers:
        yield group.pattern.replace("*", str(index), 1)


def elements(group: TensorGroup) -> int:
    """Elements of all tensors of a group."""
    product = group.count
    for extent in group.shape:
        product *= extent
    return product


def parameters_by_dtype(groups: Iterable[TensorGroup]) -> dict[str, int]:
    """Elements by safetensors dtype."""
    totals: dict[str, int] = defaultdict(int)
    for group in groups:
        totals[group.dtype] += elements(group)
    return dict(totals)


def bytes_of(parameters: Mapping[str, int]) -> int:
    """Bytes that elements by safetensors dtype take; a dtype nobody knows counts as two bytes."""
    return sum(count * DTYPE_BITS.get(dtype, 16) // 8 for dtype, count in parameters.items())


def total_bytes(groups: Iterable[TensorGroup]) -> int:
    """Bytes of all tensors."""
    return bytes_of(parameters_by_dtype(groups))
