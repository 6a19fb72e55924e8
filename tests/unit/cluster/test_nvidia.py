"""NVIDIA's devices: whole GPUs and slices beside each other, each with labels of its own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.facts import GpuDevice
from modelserving.cluster.interconnect import Interconnect
from modelserving.cluster.mig import SLICE_RESERVE
from modelserving.cluster.nvidia import nvidia_devices
from modelserving.units import GIB, MIB

H100 = "NVIDIA-H100-80GB-HBM3"
WHOLE = {"nvidia.com/gpu.product": H100, "nvidia.com/gpu.memory": "81559", "nvidia.com/gpu.count": "8"}


def profile(name: str, mib: int, count: int) -> dict[str, str]:
    resource = f"nvidia.com/mig-{name}"
    return {
        f"{resource}.product": f"{H100}-MIG-{name}",
        f"{resource}.memory": str(mib),
        f"{resource}.count": str(count),
        f"{resource}.replicas": "1",
        f"{resource}.sharing-strategy": "none",
    }


MIXED = WHOLE | profile("3g.40gb", 40_448, 4) | profile("1g.10gb", 9_984, 16)
COUNTS = {"nvidia.com/gpu": "4", "nvidia.com/mig-3g.40gb": "4", "nvidia.com/mig-1g.10gb": "16", "cpu": "1"}


def devices(allocatable: dict[str, Any], labels: dict[str, str]) -> dict[str, GpuDevice]:
    return {device.resource: device for device in nvidia_devices(allocatable, labels)}


def test_with_the_mixed_strategy_a_node_offers_whole_gpus_and_every_profile() -> None:
    found = devices(COUNTS, MIXED)
    assert [(d.count, d.is_slice, d.problem) for d in found.values()] == [(4, False, ""), (16, True, ""), (4, True, "")]
    sliced = found["nvidia.com/mig-3g.40gb"]
    assert sliced.gpu is not None
    assert sliced.gpu.product == "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb"
    assert sliced.gpu.memory_total_bytes == 40_448 * MIB - SLICE_RESERVE
    assert sliced.gpu.compute_capability == (9, 0)
    assert sliced.interconnect is Interconnect.NONE
    assert sliced.selector == (("nvidia.com/mig-3g.40gb.product", "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb"),)
    whole = found["nvidia.com/gpu"]
    assert whole.interconnect is Interconnect.NVSWITCH
    assert whole.selector == (("nvidia.com/gpu.product", H100),)


def test_with_the_single_strategy_the_gpus_of_a_node_are_slices() -> None:
    labels = {"nvidia.com/gpu.product": f"{H100}-MIG-3g.40gb", "nvidia.com/gpu.memory": "40448"}
    (device,) = nvidia_devices({"nvidia.com/gpu": "16"}, labels)
    assert device.gpu is not None
    assert (device.count, device.is_slice, device.interconnect) == (16, True, Interconnect.NONE)
    assert 39 * GIB < device.gpu.memory_total_bytes < 39.5 * GIB


def test_a_profile_without_a_product_label_is_named_by_its_resource() -> None:
    labels = {k: v for k, v in MIXED.items() if k != "nvidia.com/mig-3g.40gb.product"}
    device = devices(COUNTS, labels)["nvidia.com/mig-3g.40gb"]
    assert device.gpu is not None
    assert device.gpu.product == f"{H100}-MIG-3g.40gb"
    assert device.selector == (("nvidia.com/gpu.product", H100),)


def test_kinds_without_a_device_are_left_out() -> None:
    assert devices(COUNTS | {"nvidia.com/gpu": "0", "nvidia.com/mig-1g.10gb": 0}, MIXED).keys() == {
        "nvidia.com/mig-3g.40gb"
    }


ONE_SET_ASIDE = {
    "time-slicing of a profile": ({"nvidia.com/mig-3g.40gb.replicas": "2"}, "replicas is '2': GPUs are shared"),
    "MPS on a profile": ({"nvidia.com/mig-3g.40gb.sharing-strategy": "mps"}, "shared (mps)"),
    "a shared product": ({"nvidia.com/mig-3g.40gb.product": f"{H100}-MIG-3g.40gb-SHARED"}, "are shared"),
    "memory that is none": ({"nvidia.com/mig-3g.40gb.memory": "a lot"}, "not a number of MiB"),
    "memory of the whole GPU": ({"nvidia.com/mig-3g.40gb.memory": "81559"}, "which no slice 3g.40gb has"),
    "fewer slices than allocatable": (
        {"nvidia.com/mig-3g.40gb.count": "2"},
        "label nvidia.com/mig-3g.40gb.count says 2",
    ),
}


@pytest.mark.parametrize(("change", "says"), ONE_SET_ASIDE.values(), ids=ONE_SET_ASIDE)
def test_what_is_wrong_with_one_kind_leaves_the_others_alone(change: dict[str, str], says: str) -> None:
    found = devices(COUNTS, MIXED | change)
    assert says in found["nvidia.com/mig-3g.40gb"].problem
    assert found["nvidia.com/mig-3g.40gb"].gpu is None
    assert found["nvidia.com/gpu"].usable
    assert found["nvidia.com/mig-1g.10gb"].usable


def test_a_slice_whose_memory_nobody_states_is_set_aside() -> None:
    labels = {k: v for k, v in MIXED.items() if k != "nvidia.com/mig-3g.40gb.memory"}
    assert "does not tell its memory" in devices(COUNTS, labels)["nvidia.com/mig-3g.40gb"].problem


def test_shared_gpus_under_a_name_of_their_own_are_set_aside() -> None:
    (device,) = nvidia_devices({"nvidia.com/gpu.shared": "40"}, WHOLE)
    assert "shared" in device.problem


@pytest.mark.parametrize("state", ["pending", "rebooting"])
def test_while_gpus_are_being_cut_nothing_of_the_node_holds(state: str) -> None:
    found = devices(COUNTS, MIXED | {"nvidia.com/mig.config.state": state})
    assert all(f"is {state}" in device.problem for device in found.values())


@given(
    st.dictionaries(st.sampled_from(sorted(MIXED)), st.text(max_size=20)),
    st.dictionaries(st.sampled_from(sorted(COUNTS)), st.text(max_size=8) | st.integers() | st.floats() | st.none()),
)
def test_any_labels_and_counts_give_devices_within_reason_or_a_sentence(
    labels: dict[str, str], counts: dict[str, Any]
) -> None:
    for device in nvidia_devices(COUNTS | counts, MIXED | labels):
        assert (device.gpu is None) == bool(device.problem)
        assert 0 <= device.count <= 128
        assert device.gpu is None or 0 < device.gpu.memory_total_bytes <= 1024 * GIB
