"""ResourceSlices fill in what labels do not tell."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.nodes import node_facts
from modelserving.cluster.resource_slices import NodeSlice, SliceDevice, described, node_slice
from modelserving.units import GIB, MIB


def device(kind: str = "gpu", memory: str = "81559Mi", **more: str) -> dict[str, Any]:
    attributes = {
        "type": {"string": kind},
        "productName": {"string": "NVIDIA H100 80GB HBM3"},
        "architecture": {"string": "Hopper"},
        "cudaComputeCapability": {"version": "9.0.0"},
    }
    attributes |= {name: {"string": value} for name, value in more.items()}
    return {"name": f"{kind}-0", "attributes": attributes, "capacity": {"memory": {"value": memory}}}


def manifest(*devices: Any, generation: int = 1, driver: str = "gpu.nvidia.com", node: str = "a") -> dict[str, Any]:
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "spec": {
            "driver": driver,
            "nodeName": node,
            "pool": {"name": node, "generation": generation, "resourceSliceCount": 1},
            "devices": list(devices),
        },
    }


def node(labels: dict[str, str] | None = None, **allocatable: str) -> Any:
    counts = {name.replace("__", "/").replace("_", "."): value for name, value in allocatable.items()}
    return node_facts({"metadata": {"name": "a", "labels": labels or {}}, "status": {"allocatable": counts}})


def slices(*manifests: dict[str, Any]) -> list[NodeSlice]:
    return [found for found in map(node_slice, manifests) if found is not None]


def test_a_slice_is_read() -> None:
    assert node_slice(manifest(device(), device("mig", "40448Mi", profile="3g.40gb"))) == NodeSlice(
        "a",
        "a",
        1,
        (
            SliceDevice("", "NVIDIA-H100-80GB-HBM3", 81_559 * MIB, (9, 0)),
            SliceDevice("3g.40gb", "NVIDIA-H100-80GB-HBM3", 40_448 * MIB, (9, 0)),
        ),
    )


def test_the_beta_form_and_qualified_names_are_read() -> None:
    inner = device()
    inner["attributes"] = {f"gpu.nvidia.com/{name}": value for name, value in inner["attributes"].items()}
    found = node_slice(manifest({"name": "gpu-0", "basic": inner}))
    assert found is not None
    assert found.devices[0].product == "NVIDIA-H100-80GB-HBM3"


@pytest.mark.parametrize(
    "other", [manifest(device(), driver="net.example.com"), manifest(device(), node=""), {"spec": None}, {}]
)
def test_slices_of_other_devices_or_of_no_node_are_passed_over(other: dict[str, Any]) -> None:
    assert node_slice(other) is None


def test_gpus_without_labels_are_known_by_their_slices() -> None:
    bare = node(nvidia_com__gpu="8")
    assert "no label nvidia.com/gpu.product" in bare.problem
    known = described(bare, slices(manifest(*[device()] * 8)))
    assert known.problem == ""
    assert known.gpu is not None
    assert known.gpu.product == "NVIDIA-H100-80GB-HBM3"
    assert known.gpu.memory_total_bytes / GIB == pytest.approx(79.18, abs=0.001)
    # No label tells these nodes from others, so pods cannot ask for one.
    assert known.devices[0].selector == ()


def test_slices_of_gpus_are_known_too() -> None:
    bare = node_facts({"metadata": {"name": "a"}, "status": {"allocatable": {"nvidia.com/mig-3g.40gb": "2"}}})
    known = described(bare, slices(manifest(device("mig", "40448Mi", profile="3g.40gb"))))
    assert known.gpu is not None
    assert known.gpu.product == "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb"


def test_labels_hold_where_both_tell() -> None:
    labels = {"nvidia.com/gpu.product": "NVIDIA-L40S", "nvidia.com/gpu.memory": "46068"}
    labelled = node(labels, nvidia_com__gpu="4")
    assert described(labelled, slices(manifest(device()))).gpu == labelled.gpu


def test_slices_of_other_nodes_and_older_generations_do_not_count() -> None:
    bare = node(nvidia_com__gpu="8")
    assert described(bare, slices(manifest(device(), node="b"))) == bare
    old = device()
    old["attributes"]["productName"] = {"string": "NVIDIA L40S"}
    known = described(bare, slices(manifest(old, generation=1), manifest(device(), generation=2)))
    assert known.gpu is not None
    assert known.gpu.product == "NVIDIA-H100-80GB-HBM3"


def test_other_devices_of_the_driver_and_amounts_that_are_none_are_passed_over() -> None:
    found = node_slice(manifest(device("vfio"), device("mig"), device(memory="much"), {"name": "empty"}))
    assert found is not None
    assert found.devices == (SliceDevice("", "NVIDIA-H100-80GB-HBM3", 0, (9, 0)),)
    known = described(node(nvidia_com__gpu="8"), [found])
    assert known.gpu is not None
    assert known.gpu.memory_total_bytes / GIB == pytest.approx(79.18, abs=0.001)


def test_gpus_of_several_products_are_not_told_apart() -> None:
    other = device()
    other["attributes"]["productName"] = {"string": "NVIDIA L40S"}
    assert described(node(nvidia_com__gpu="8"), slices(manifest(device(), other))).problem


def test_gpus_that_only_dra_gives_out_are_set_aside_with_a_way_out() -> None:
    known = described(node(), slices(manifest(device(), device())))
    assert known.gpu is None
    assert "2 × NVIDIA-H100-80GB-HBM3" in known.problem
    assert "run NVIDIA's device plugin" in known.problem


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(["attributes", "capacity", "memory", "value", "string", "type", "basic"]),
            children,
            max_size=4,
        )
    ),
    max_leaves=16,
)


@given(json_values, json_values)
def test_any_json_is_read_without_an_exception(devices: Any, pool: Any) -> None:
    found = node_slice({"spec": {"driver": "gpu.nvidia.com", "nodeName": "a", "devices": devices, "pool": pool}})
    assert found is not None
    described(node(nvidia_com__gpu="8"), [found])
