"""How the GPUs of one node reach each other: what tensor parallelism pays for at every layer."""

from enum import Enum


class Interconnect(Enum):
    """The path between two GPUs of a node; the faster, the lower its rank.

    Figures are both directions of one GPU together, from NVIDIA's data sheets of the products named.
    """

    NVSWITCH = "NVSwitch"
    """Every GPU reaches every other at full speed: 600 GB/s (A100 SXM) to 1,800 GB/s (B200)."""

    NVLINK = "NVLink"
    """Some GPUs are bridged: pairs or fours (H100 NVL, H200 NVL), or a mesh without a switch (V100 SXM2); 300 to 900 GB/s."""

    PCIE = "PCIe"
    """64 GB/s (4.0 x16) to 128 GB/s (5.0 x16), often through the host's memory; also where nothing better is known."""

    NONE = "none"
    """No path at all: slices of a GPU have no peer-to-peer access (NVIDIA's MIG user guide)."""

    @property
    def rank(self) -> int:
        """Place in the order of preference, 0 for the fastest."""
        return _RANKS[self]


_RANKS = {path: rank for rank, path in enumerate(Interconnect)}
