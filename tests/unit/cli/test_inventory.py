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
