"""How GPUs reach each other: an order, and what each product has."""

import pytest

from modelserving.cluster.interconnect import Interconnect
from modelserving.cluster.products import find_product


def test_the_faster_comes_first() -> None:
    assert sorted(Interconnect, key=lambda kind: kind.rank) == [
        Interconnect.NVSWITCH,
        Interconnect.NVLINK,
        Interconnect.PCIE,
        Interconnect.NONE,
    ]


@pytest.mark.parametrize(
    ("product", "kind"),
    [
        ("NVIDIA-H100-80GB-HBM3", Interconnect.NVSWITCH),
        ("NVIDIA-A100-SXM4-40GB", Interconnect.NVSWITCH),
        ("NVIDIA-B200", Interconnect.NVSWITCH),
        ("NVIDIA-H100-NVL", Interconnect.NVLINK),
        ("Tesla-V100-SXM2-32GB", Interconnect.NVLINK),
        ("NVIDIA-H100-PCIe", Interconnect.PCIE),
        ("NVIDIA-H800-PCIe", Interconnect.PCIE),
        ("NVIDIA-A100-80GB-PCIe", Interconnect.PCIE),
        ("NVIDIA-L40S", Interconnect.PCIE),
        ("NVIDIA-A10G", Interconnect.PCIE),
        ("Tesla-T4", Interconnect.PCIE),
    ],
)
def test_products_reach_each_other_as_their_data_sheets_say(product: str, kind: Interconnect) -> None:
    found = find_product(product)
    assert found is not None
    assert found.interconnect is kind
