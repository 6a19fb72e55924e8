"""Names of GPUs, as labels, short names and as people write them."""

import pytest

from modelserving.cli.estimate_gpu import find_gpu
from modelserving.units import GIB


@pytest.mark.parametrize(
    ("name", "capability", "gib"),
    [
        ("NVIDIA-H100-80GB-HBM3", (9, 0), 79.18),
        ("H100-80GB", (9, 0), 79.18),
        ("H100 80GB", (9, 0), 79.18),
        ("H100", (9, 0), 79.18),
        ("NVIDIA A100 80GB PCIe", (8, 0), 79.14),
        ("A100 40GB", (8, 0), 39.38),
        ("A100-SXM4-80GB", (8, 0), 79.14),
        ("L40S 48GB", (8, 9), 44.31),
        ("L40S", (8, 9), 44.31),
        ("L4", (8, 9), None),
        ("A10G", (8, 6), 21.99),
        ("A10", (8, 6), 21.99),
        ("Tesla V100-SXM2-32GB", (7, 0), 31.73),
        ("RTX 3090", (8, 6), 23.56),
        ("NVIDIA GeForce RTX 4090", (8, 9), 23.53),
        ("RTX PRO 6000 Blackwell Server Edition 96GB", (12, 0), 95.01),
        ("H200 (AWS p5en.48xlarge)", (9, 0), 139.72),
        ("b200", (10, 0), None),
    ],
)
def test_a_name_means_a_gpu(name: str, capability: tuple[int, int], gib: float | None) -> None:
    found = find_gpu(name, None)
    assert not isinstance(found, str), found
    gpu, assumed = found
    assert gpu.compute_capability == capability
    assert assumed == ()
    if gib is not None:
        assert gpu.memory_total_bytes / GIB == pytest.approx(gib, abs=0.01)


@pytest.mark.parametrize(
    "name", ["AMD MI300X", "TPU", "H100 40GB", "A100 128GB", "Jetson AGX Thor 128GB unified", "€" * 999]
)
def test_a_name_of_no_known_gpu_is_refused(name: str) -> None:
    found = find_gpu(name, 80 * GIB)
    assert isinstance(found, str)
    assert "product label" in found


def test_memory_overrides_the_products() -> None:
    found = find_gpu("H100-80GB", 79 * GIB)
    assert not isinstance(found, str)
    assert found[0].memory_total_bytes == 79 * GIB


def test_a_gpu_without_a_name_is_found_by_its_memory_and_that_is_said() -> None:
    found = find_gpu(None, int(44.4 * GIB))
    assert not isinstance(found, str)
    gpu, (assumed,) = found
    assert gpu.product == "L40S"
    assert "44.4 GiB" in assumed


@pytest.mark.parametrize("total", [None, 3 * GIB])
def test_neither_name_nor_known_memory_is_refused(total: int | None) -> None:
    assert isinstance(find_gpu(None, total), str)
