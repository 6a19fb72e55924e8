"""What CUDA offers of the memory on the label."""

import pytest

from modelserving.cluster.products import PRODUCTS, UNMEASURED_RESERVE, find_product, usable_memory
from modelserving.units import GIB, MIB


@pytest.mark.parametrize(
    ("label", "pattern"),
    [
        ("NVIDIA-H100-80GB-HBM3", "H100-80GB"),
        ("NVIDIA-H100-NVL", "H100-NVL"),
        ("NVIDIA-H200", "H200"),
        ("NVIDIA-H20", "H20"),
        ("NVIDIA-A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("NVIDIA-A100-SXM4-40GB", "A100-SXM4-40GB"),
        ("NVIDIA-A100-80GB-PCIe", "A100-80GB"),
        ("NVIDIA-A10", "A10"),
        ("NVIDIA-A10G", "A10G"),
        ("NVIDIA-L4", "L4"),
        ("NVIDIA-L40S", "L40S"),
        ("NVIDIA-GeForce-RTX-4090", "GEFORCE-RTX-4090"),
        ("Tesla-T4", "TESLA-T4"),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "RTX-PRO-6000-BLACKWELL"),
    ],
)
def test_a_label_finds_its_own_product_and_no_neighbour(label: str, pattern: str) -> None:
    product = find_product(label)
    assert product is not None
    assert product.pattern == pattern


def test_what_is_not_in_the_table_is_not_guessed() -> None:
    assert find_product("NVIDIA-H1000") is None
    assert find_product("") is None


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.pattern)
def test_no_product_offers_more_than_its_label(product: object) -> None:
    from modelserving.cluster.products import Product

    assert isinstance(product, Product)
    label = product.label_mib * MIB
    assert label - UNMEASURED_RESERVE <= usable_memory(label, product) <= label
    assert find_product(product.pattern) is product


def test_the_reserve_covers_every_measured_product() -> None:
    gaps = [p.label_mib * MIB - int(p.cuda_total_gib * GIB) for p in PRODUCTS if p.cuda_total_gib is not None]
    assert max(gaps) <= UNMEASURED_RESERVE
