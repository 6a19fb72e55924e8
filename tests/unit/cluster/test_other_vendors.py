"""GPUs of AMD and Intel: recognised, named, and set aside with the reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.nodes import node_facts
from modelserving.cluster.other_vendors import foreign_devices

MI300X = {
    "amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM",
    "amd.com/gpu.device-id": "74b5",
    "amd.com/gpu.vram": "191G",
    "amd.com/gpu.family": "AI",
    "amd.com/gpu.cu-count": "304",
}
NAMED = {
    "by its product": ({"amd.com/gpu": "8"}, MI300X, "has 8 × AMD MI300X with 191 GiB each (amd.com/gpu)"),
    "by its device id": ({"amd.com/gpu": 8}, {"amd.com/gpu.device-id": "74a5"}, "8 × AMD MI325X with 256 GiB each"),
    "by labels of the first labeller": (
        {"amd.com/gpu": "1"},
        {"beta.amd.com/gpu.vram.16G": "1", "beta.amd.com/gpu.family.AI": "1"},
        "1 × AMD GPU of family AI with 16 GiB each",
    ),
    "by nothing": ({"amd.com/gpu": "2"}, {}, "has 2 × AMD GPU (amd.com/gpu)"),
    "a product nobody knows": (
        {"amd.com/gpu": "1"},
        {"amd.com/gpu.product-name": "AMD_Radeon_8060S"},
        "AMD Radeon 8060S",
    ),
    "partitions": ({"amd.com/cpx_nps4": "64"}, MI300X, "has 64 × AMD MI300X"),
    "Intel's Max": (
        {"gpu.intel.com/i915": "2"},
        {"gpu.intel.com/product": "Max_1550", "gpu.intel.com/family": "Max_Series"},
        "has 2 × Intel Max 1550 with 128 GiB each (gpu.intel.com/i915)",
    ),
    "Intel's newer driver": ({"gpu.intel.com/xe": "1"}, {}, "has 1 × Intel GPU (gpu.intel.com/xe)"),
}


@pytest.mark.parametrize(("allocatable", "labels", "says"), NAMED.values(), ids=NAMED)
def test_a_node_says_what_it_has_and_why_it_is_not_planned_for(
    allocatable: dict[str, Any], labels: dict[str, str], says: str
) -> None:
    facts = node_facts({"metadata": {"name": "a", "labels": labels}, "status": {"allocatable": allocatable}})
    assert facts.gpu is None
    assert says in facts.problem
    assert "built for CUDA" in facts.problem


def test_a_count_that_cannot_be_true_says_so() -> None:
    (device,) = foreign_devices({"amd.com/gpu": "-8"}, MI300X)
    assert device.problem == "allocatable amd.com/gpu is -8, which no node has"


@pytest.mark.parametrize(
    "resource", ["gpu.intel.com/xe_monitoring", "gpu.intel.com/millicores", "amd.com/gpu.vram", "habana.ai/gaudi"]
)
def test_what_counts_no_gpus_is_passed_over(resource: str) -> None:
    assert list(foreign_devices({resource: "99", "amd.com/gpu": "0"}, {})) == []


def test_gpus_of_nvidia_on_the_same_node_stay_usable() -> None:
    labels = {"nvidia.com/gpu.product": "NVIDIA-L40S", "nvidia.com/gpu.memory": "46068"}
    facts = node_facts(
        {
            "metadata": {"labels": labels},
            "status": {"allocatable": {"nvidia.com/gpu": "1", "gpu.intel.com/i915": "1"}},
        }
    )
    assert (facts.gpu_count, facts.problem, len(facts.devices)) == (1, "", 2)


@given(st.dictionaries(st.sampled_from(sorted(MI300X)), st.text(max_size=60)))
def test_any_labels_give_a_sentence(labels: dict[str, str]) -> None:
    (device,) = foreign_devices({"amd.com/gpu": "8"}, labels)
    assert len(device.problem) < 300
