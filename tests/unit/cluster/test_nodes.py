"""Nodes are read, or set aside with a reason; whatever they say."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelserving.cluster.nodes import node_facts
from modelserving.cluster.snapshot import Taint
from modelserving.units import GIB, MIB

H100 = {
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.compute.major": "9",
    "nvidia.com/gpu.compute.minor": "0",
    "nvidia.com/gpu.replicas": "1",
}


def node(labels: dict[str, str] | None = None, gpus: Any = "8", **spec: Any) -> dict[str, Any]:
    allocatable = {"cpu": "128", "memory": "1Ti"} | ({"nvidia.com/gpu": gpus} if gpus is not None else {})
    return {
        "metadata": {"name": "a", "labels": H100 if labels is None else labels},
        "spec": spec,
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def test_an_h100_node_offers_what_cuda_reports_not_what_the_label_says() -> None:
    facts = node_facts(node())
    assert (facts.gpu_count, facts.cpu_millis, facts.memory_bytes, facts.problem) == (8, 128_000, 2**40, "")
    assert facts.gpu is not None
    assert facts.gpu.compute_capability == (9, 0)
    # vLLM logs 79.18 GiB as the total of an H100 whose label says 81559 MiB (79.65 GiB).
    assert facts.gpu.memory_total_bytes / GIB == pytest.approx(79.18, abs=0.001)


def test_a_label_below_the_usual_takes_the_difference_from_what_cuda_reports() -> None:
    with_ecc = node_facts(node(H100 | {"nvidia.com/gpu.memory": "80559"})).gpu
    usual = node_facts(node()).gpu
    assert with_ecc is not None
    assert usual is not None
    assert usual.memory_total_bytes - with_ecc.memory_total_bytes == 1000 * MIB


def test_an_unknown_product_is_taken_by_its_labels_with_a_reserve() -> None:
    labels = H100 | {
        "nvidia.com/gpu.product": "NVIDIA-X900",
        "nvidia.com/gpu.memory": "100000",
        "nvidia.com/gpu.compute.major": "13",
    }
    gpu = node_facts(node(labels)).gpu
    assert gpu is not None
    assert gpu.compute_capability == (13, 0)
    assert 99_000 * MIB <= gpu.memory_total_bytes < 100_000 * MIB


def test_a_known_product_without_memory_label_is_taken_by_its_name() -> None:
    gpu = node_facts(node({"nvidia.com/gpu.product": "Tesla-T4"})).gpu
    assert gpu is not None
    assert gpu.compute_capability == (7, 5)
    assert gpu.memory_total_bytes / GIB == pytest.approx(14.56, abs=0.001)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nvidia.com/gpu.product": ""}, "no label nvidia.com/gpu.product"),
        ({"nvidia.com/gpu.memory": "banana"}, "'banana', not a number"),
        ({"nvidia.com/gpu.memory": "-1"}, "not a number"),
        ({"nvidia.com/gpu.memory": "0"}, "no GPU has"),
        ({"nvidia.com/gpu.memory": "999999999999"}, "no GPU has"),
        ({"nvidia.com/gpu.memory": "9" * 5000}, "not a number"),
        ({"nvidia.com/gpu.memory": "163118"}, "has 81559 MiB"),
        ({"nvidia.com/gpu.memory": "40000"}, "has 81559 MiB"),
        ({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-SHARED"}, "shared"),
        ({"nvidia.com/gpu.replicas": "4"}, "shared"),
        ({"nvidia.com/gpu.sharing-strategy": "mps"}, "shared (mps)"),
        ({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-3g.40gb"}, "which no slice 3g.40gb has"),
        ({"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-INVALID"}, "names no MIG profile"),
        ({"nvidia.com/mig.config.state": "rebooting"}, "being cut"),
        ({"nvidia.com/gpu.count": "2"}, "allocatable nvidia.com/gpu is 8, but label nvidia.com/gpu.count says 2"),
        ({"nvidia.com/gpu.product": "X", "nvidia.com/gpu.compute.major": "?"}, "compute capability"),
    ],
)
def test_labels_that_cannot_be_true_set_the_node_aside_with_a_sentence(change: dict[str, str], says: str) -> None:
    facts = node_facts(node(H100 | change))
    assert facts.gpu is None
    assert says in facts.problem


@pytest.mark.parametrize(
    ("count", "says"),
    [
        ("-8", "-8"),
        ("lots", "no Kubernetes quantity"),
        ("10000", "10000"),
        ("9" * 30, "which no node has"),
        ("1500m", "no whole number"),
        ("1.5", "no whole number"),
        (True, "no Kubernetes quantity"),
    ],
)
def test_counts_that_cannot_be_true_set_the_node_aside(count: str, says: str) -> None:
    facts = node_facts(node(gpus=count))
    assert facts.gpu_count == 0
    assert says in facts.problem


def test_an_unknown_product_without_memory_label_is_set_aside() -> None:
    facts = node_facts(node({"nvidia.com/gpu.product": "NVIDIA-X900"}))
    assert "no label nvidia.com/gpu.memory" in facts.problem


def test_a_node_without_gpus_has_no_problem() -> None:
    facts = node_facts(node({}, gpus=None))
    assert (facts.gpu_count, facts.gpu, facts.problem, facts.gpu_resource) == (0, None, "", "")


def test_disk_and_pods_are_read_where_the_node_tells_of_them() -> None:
    manifest = node()
    assert (node_facts(manifest).ephemeral_bytes, node_facts(manifest).pods) == (None, None)
    manifest["status"]["allocatable"] |= {"ephemeral-storage": "900Gi", "pods": "110"}
    assert (node_facts(manifest).ephemeral_bytes, node_facts(manifest).pods) == (900 * GIB, 110)
    manifest["status"]["allocatable"] |= {"ephemeral-storage": "much", "pods": -1}
    assert (node_facts(manifest).ephemeral_bytes, node_facts(manifest).pods) == (0, 0)


NODE_SETS = Path(__file__).parents[3] / "deploy" / "local" / "nodes"


@pytest.mark.parametrize("file", sorted(NODE_SETS.glob("*.yaml")), ids=lambda file: file.stem)
def test_node_sets_hold_nodes_as_their_labels_say(file: Path) -> None:
    for manifest in yaml.safe_load_all(file.read_text()):
        facts = node_facts(manifest)
        foreign = any(device.resource.startswith("amd.com/") for device in facts.devices)
        assert bool(facts.problem) is foreign
        assert facts.ephemeral_bytes
        assert all(device.selector for device in facts.usable_devices)


def test_taints_readiness_and_cordon_are_read() -> None:
    manifest = node(
        unschedulable=True,
        taints=[{"key": "b", "effect": "NoSchedule"}, {"key": "a", "value": "1", "effect": "NoExecute"}],
    )
    manifest["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    facts = node_facts(manifest)
    assert facts.taints == (Taint("a", "1", "NoExecute"), Taint("b", "", "NoSchedule"))
    assert not facts.ready
    assert not facts.schedulable


def test_a_node_file_without_conditions_counts_as_ready() -> None:
    manifest = node()
    del manifest["status"]["conditions"]
    assert node_facts(manifest).ready


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), json_values))
def test_any_json_is_read_without_an_exception(manifest: dict[str, Any]) -> None:
    assert node_facts(manifest).gpu is None


@given(st.dictionaries(st.sampled_from(sorted(H100)), st.text(max_size=20)), st.text(max_size=10))
def test_any_labels_give_a_gpu_within_reason_or_a_problem(labels: dict[str, str], count: str) -> None:
    facts = node_facts(node(H100 | labels, gpus=count))
    assert facts.gpu_count == 0 or (facts.gpu is None) == bool(facts.problem)
    assert facts.gpu is None or 0 < facts.gpu.memory_total_bytes <= 1024 * GIB
