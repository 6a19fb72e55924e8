"""Amounts in `allocatable`: whole numbers, or the reason why they are none."""

from collections.abc import Mapping
from typing import Any

from modelserving.units import QuantityError, parse_quantity

# No machine holds more GPUs, or slices of GPUs, behind one kubelet (16 GPUs of 7 slices make 112); a larger count is a device plugin
# gone wrong.
MOST_DEVICES_ON_A_NODE = 128


def device_count(allocatable: Mapping[str, Any], resource: str) -> tuple[int, str]:
    """(devices, problem): how many devices of an extended resource a node offers; 0 and the reason where it says what cannot be."""
    written = allocatable.get(resource)
    if written is None:
        return 0, ""
    try:
        count = parse_quantity(written)
    except QuantityError as error:
        return 0, f"allocatable {resource}: {error}"
    if count != count.to_integral_value():
        return 0, f"allocatable {resource} is {str(written)[:40]!r}, which is no whole number of devices"
    if not 0 <= count <= MOST_DEVICES_ON_A_NODE:
        return 0, f"allocatable {resource} is {str(written)[:40]}, which no node has"
    return int(count), ""
