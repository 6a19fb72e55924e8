"""MIG: a GPU cut into slices, each a device of its own with memory of its own."""

import re
from dataclasses import dataclass

from modelserving.units import GIB, MIB

# In product labels, as GPU feature discovery writes them: NVIDIA-H100-80GB-HBM3-MIG-3g.40gb.
_MARK = "-MIG-"
# `3g.40gb`, `1c.3g.40gb` (part of a slice's compute), `1g.10gb+me` or, where a plus sign may not stand, `1g.10gb.me`.
_PROFILE = re.compile(r"(?:[0-9]c\.)?[0-9]g\.([0-9]{1,3})gb(?:[+.][a-z0-9.+]{1,20})?")
# Kept free of a slice's label. What a slice's label says is what CUDA reports, for the driver's share is off already: 40,192 MiB and
# 39.25 GiB (3g.40gb of an A100 80 GB), 40,448 MiB and 39.50 GiB (of an H100), 9,728 MiB and 9.50 GiB (1g.10gb). Logs round to 0.01 GiB;
# the rest is for profiles and drivers that nobody has looked at.
SLICE_RESERVE = 64 * MIB
# A profile's name rounds its memory up. Furthest off is the 1g.18gb of an H200 with 16 GiB, 89 % of its name.
LEAST_OF_NAME = 0.8
MOST_OF_NAME = 1.02


@dataclass(frozen=True, slots=True)
class Slice:
    """A MIG profile of a product.

    Attributes:
        parent: product label of the whole GPU.
        profile: name of the profile, `3g.40gb`.
        nominal_bytes: memory as the profile's name rounds it.
    """

    parent: str
    profile: str
    nominal_bytes: int

    @property
    def product(self) -> str:
        """Product label of the slice."""
        return f"{self.parent}{_MARK}{self.profile}"


def is_mig(product: str) -> bool:
    """Whether a product label names a slice."""
    return _MARK in product.upper()


def find_slice(product: str) -> Slice | None:
    """Read the slice that a product label names; None if it names none, or a profile that cannot be read."""
    at = product.upper().find(_MARK)
    if at < 0:
        return None
    parent, profile = product[:at], product[at + len(_MARK) :]
    match = _PROFILE.fullmatch(profile)
    return Slice(parent, profile, int(match[1]) * GIB) if match else None


def slice_problem(label_bytes: int, found: Slice, label: str) -> str:
    """Say what is wrong with the memory label of a slice, empty if nothing is."""
    if LEAST_OF_NAME * found.nominal_bytes <= label_bytes <= MOST_OF_NAME * found.nominal_bytes:
        return ""
    return (
        f"label {label} says {label_bytes // MIB} MiB, which no slice {found.profile} has; "
        "was the GPU cut anew while GPU feature discovery did not run?"
    )


def usable_slice_memory(label_bytes: int) -> int:
    """Bytes that cudaMemGetInfo will report as total on a slice whose label says `label_bytes`."""
    return label_bytes - SLICE_RESERVE
