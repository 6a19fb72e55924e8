"""MIG slices: what their labels say, and what of it can be true."""

import pytest

from modelserving.cluster.mig import SLICE_RESERVE, find_slice, is_mig, slice_problem, usable_slice_memory
from modelserving.units import GIB, MIB

LABEL = "nvidia.com/mig-3g.40gb.memory"


@pytest.mark.parametrize(
    ("product", "profile", "gib"),
    [
        ("NVIDIA-H100-80GB-HBM3-MIG-3g.40gb", "3g.40gb", 40),
        ("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb", "1g.5gb", 5),
        ("NVIDIA-A100-80GB-PCIe-MIG-1g.10gb.me", "1g.10gb.me", 10),
        ("NVIDIA-H200-MIG-1g.18gb+me", "1g.18gb+me", 18),
        ("NVIDIA-A100-SXM4-40GB-MIG-1c.3g.20gb", "1c.3g.20gb", 20),
    ],
)
def test_a_product_label_names_a_slice(product: str, profile: str, gib: int) -> None:
    found = find_slice(product)
    assert found is not None
    assert (found.profile, found.nominal_bytes, found.product) == (profile, gib * GIB, product)


@pytest.mark.parametrize("product", ["NVIDIA-H100-80GB-HBM3", "", "X-MIG-INVALID", "X-MIG-3g", "X-MIG-3g.9999gb"])
def test_other_labels_name_none(product: str) -> None:
    assert find_slice(product) is None
    assert is_mig(product) is ("-MIG-" in product)


# (profile, MiB on the label, GiB that CUDA reports), from logs and from nvidia-smi mig -lgip.
SEEN = [
    ("A100-80GB-PCIe-MIG-3g.40gb", 40_192, 39.25),
    ("A100-80GB-PCIe-MIG-2g.20gb", 19_968, 19.50),
    ("A100-80GB-PCIe-MIG-1g.10gb", 9_728, 9.50),
    ("H100-80GB-HBM3-MIG-3g.40gb", 40_448, 39.50),
    ("H100-80GB-HBM3-MIG-1g.10gb", 9_984, 9.75),
    ("A100-SXM4-40GB-MIG-1g.5gb", 4_864, 4.75),
    ("H200-MIG-1g.18gb", 16_384, 16.00),
]


@pytest.mark.parametrize(("product", "label_mib", "cuda_gib"), SEEN)
def test_slices_that_were_seen_are_believed_and_not_counted_for_more_than_they_have(
    product: str, label_mib: int, cuda_gib: float
) -> None:
    found = find_slice(product)
    assert found is not None
    assert slice_problem(label_mib * MIB, found, LABEL) == ""
    assert cuda_gib * GIB - SLICE_RESERVE - 5 * MIB <= usable_slice_memory(label_mib * MIB) <= cuda_gib * GIB


@pytest.mark.parametrize("mib", [81_559, 0, 9_984])
def test_a_label_of_another_size_is_out_of_date(mib: int) -> None:
    found = find_slice("NVIDIA-H100-80GB-HBM3-MIG-3g.40gb")
    assert found is not None
    assert f"{LABEL} says {mib} MiB, which no slice 3g.40gb has" in slice_problem(mib * MIB, found, LABEL)
