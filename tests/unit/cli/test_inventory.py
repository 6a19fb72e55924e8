"""Nodes to plan for: from files, or the bundled ones."""

from pathlib import Path

import pytest
import yaml

from modelserving.cli.inventory import read_inventory
from modelserving.cluster.products import find_product
from modelserving.errors import InputError

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1", "labels": {"nvidia.com/gpu.product": "NVIDIA-L40S", "nvidia.com/gpu.memory": "46068"}},
    "status": {"allocatable": {"nvidia.com/gpu": "4", "cpu": "8", "memory": "64Gi"}},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "3"}}}]},
}


def written(folder: Path, *documents: object) -> str:
    path = folder / "nodes.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


def test_bundled_nodes_are_all_usable_and_their_memory_was_measured() -> None:
    inventory = read_inventory([])
    assert inventory.source == "bundled"
    assert len(inventory.snapshot.nodes) >= 6
    for node in inventory.snapshot.nodes:
        assert node.problem == ""
        assert node.gpu is not None
        product = find_product(node.gpu.product)
        assert product is not None
        assert product.cuda_total_gib is not None


def test_the_bundled_nodes_are_told_of() -> None:
    sentence = read_inventory([]).sentence
    assert "NVIDIA-H100-80GB-HBM3 x8" in sentence
    assert "--nodes FILE" in sentence


def test_pods_take_of_their_nodes(tmp_path: Path) -> None:
    inventory = read_inventory([written(tmp_path, {"kind": "List", "apiVersion": "v1", "items": [NODE, POD]})])
    assert [pod.gpus for pod in inventory.snapshot.pods] == [3]
    assert "1 pods bound" in inventory.sentence


def test_a_folder_of_nodes_is_read(tmp_path: Path) -> None:
    written(tmp_path, NODE)
    assert [node.name for node in read_inventory([str(tmp_path)]).snapshot.nodes] == ["n1"]


FAULTS = {
    "another kind": (
        [NODE, {"kind": "Service", "metadata": {"name": "s"}}],
        r"document 2 \(Service s\): is Service, expected are Node, Pod, ResourceQuota",
    ),
    "no kind": ([{"metadata": {"name": "s"}}], "is an object without kind"),
    "no node": ([POD], "holds no Node; make one with `kubectl get nodes,pods"),
    "a node twice": ([NODE, NODE], "node n1 is given more than once"),
    "a node without name": ([{"kind": "Node"}], "metadata.name is missing"),
}


@pytest.mark.parametrize(("documents", "message"), FAULTS.values(), ids=FAULTS)
def test_faults_are_told(tmp_path: Path, documents: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_inventory([written(tmp_path, *documents)])


QUOTA = {
    "kind": "ResourceQuota",
    "metadata": {"name": "team", "namespace": "default"},
    "spec": {"hard": {"requests.nvidia.com/gpu": "2"}},
}
RESOURCE_SLICE = {
    "kind": "ResourceSlice",
    "spec": {
        "driver": "gpu.nvidia.com",
        "nodeName": "bare",
        "pool": {"name": "bare", "generation": 1},
        "devices": [
            {
                "name": "gpu-0",
                "attributes": {"type": {"string": "gpu"}, "productName": {"string": "NVIDIA L40S"}},
                "capacity": {"memory": {"value": "46068Mi"}},
            }
        ],
    },
}
BARE = {"kind": "Node", "metadata": {"name": "bare"}, "status": {"allocatable": {"nvidia.com/gpu": "1"}}}
SHAPE = {"name": "l40s-spot", "gpuProduct": "NVIDIA-L40S", "gpus": 4, "cpu": 48, "memory": "180Gi"}
VALUES = {"replicas": 2, "settings": {"nodeShapes": [SHAPE], "gpuPrices": {"NVIDIA-L40S": 1.1}, "logFormat": "json"}}


def test_quotas_and_resource_slices_are_read_beside_nodes(tmp_path: Path) -> None:
    snapshot = read_inventory([written(tmp_path, NODE, QUOTA, RESOURCE_SLICE, BARE)]).snapshot
    assert [quota.name for quota in snapshot.quotas] == ["team"]
    assert [node.gpu.product for node in snapshot.nodes if node.gpu is not None] == ["NVIDIA-L40S", "NVIDIA-L40S"]


@pytest.mark.parametrize("document", [VALUES, VALUES["settings"]], ids=["values of the chart", "the keys alone"])
def test_declared_shapes_and_prices_are_read_and_do_without_nodes(tmp_path: Path, document: object) -> None:
    document = {k: v for k, v in document.items() if k != "logFormat"} if isinstance(document, dict) else document
    inventory = read_inventory([written(tmp_path, document)])
    assert [shape.name for shape in inventory.snapshot.declared] == ["l40s-spot"]
    assert inventory.snapshot.prices == {"NVIDIA-L40S": 1.1}
    assert "no nodes, and nodes that can be made of l40s-spot" in inventory.sentence


WRONG_SHAPES = {
    "a field is missing": ({"nodeShapes": [{"name": "a"}]}, r"document 1: nodeShapes\[0\].gpuProduct: Field required"),
    "an amount is none": (
        {"nodeShapes": [SHAPE | {"memory": "lots"}]},
        r"nodeShapes\[0\].memory: .*no Kubernetes quantity",
    ),
    "a product nobody knows": ({"nodeShapes": [SHAPE | {"gpuProduct": "X"}]}, "node shape l40s-spot: no label"),
    "a name twice": ({"nodeShapes": [SHAPE, SHAPE]}, "nodeShapes: .*l40s-spot is given more than once"),
    "a price that is none": ({"gpuPrices": {"NVIDIA-L40S": -1}}, "gpuPrices.NVIDIA-L40S: .*greater than 0"),
}


@pytest.mark.parametrize(("document", "message"), WRONG_SHAPES.values(), ids=WRONG_SHAPES)
def test_faults_of_declared_shapes_are_told(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_inventory([written(tmp_path, document)])


def test_a_node_with_slices_beside_whole_gpus_is_told_of_in_full() -> None:
    node_sets = Path(__file__).parents[3] / "deploy" / "local" / "nodes"
    sentence = read_inventory([str(node_sets / "mig-h100-mixed.yaml")]).sentence
    assert "H100-80GB-HBM3 x4 + NVIDIA-H100-80GB-HBM3-MIG-1g.10gb x16" in sentence
