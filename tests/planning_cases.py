"""Nodes and facts that planning tests share. Configs: `tests/data/configs`, written from facts of the models."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from modelserving.cluster.nodes import node_facts
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts, PodRequests
from modelserving.models.facts import ModelFacts
from modelserving.models.metadata import CheckpointRef, ModelMetadata, Origin
from modelserving.models.reader import read_facts
from modelserving.planning.request import Checkpoint, PlanRequest

CONFIGS = Path(__file__).parent / "data" / "configs"

# product label -> (label of memory in MiB, GPUs on a node, host memory of a node)
PRODUCTS = {
    "NVIDIA-H100-80GB-HBM3": (81_559, 8, "2Ti"),
    "NVIDIA-H200": (143_771, 8, "2Ti"),
    "NVIDIA-A100-SXM4-40GB": (40_960, 8, "1Ti"),
    "NVIDIA-L40S": (46_068, 4, "512Gi"),
    "Tesla-T4": (15_360, 1, "64Gi"),
}
H100, H200, A100, L40S, T4 = PRODUCTS
# Beside those that tests draw from.
A10G = "NVIDIA-A10G"
_KNOWN = PRODUCTS | {A10G: (23_028, 1, "64Gi")}


def node(name: str, product: str, gpus: int | None = None, **labels: str) -> NodeFacts:
    """One node of a product, as its labels describe it."""
    memory, count, host = _KNOWN[product]
    known = {"nvidia.com/gpu.product": product, "nvidia.com/gpu.memory": str(memory)} | labels
    return node_facts(
        {
            "metadata": {"name": name, "labels": known},
            "status": {
                "allocatable": {"nvidia.com/gpu": str(count if gpus is None else gpus), "cpu": "128", "memory": host}
            },
        }
    )


def cluster(*nodes: NodeFacts, pods: tuple[PodRequests, ...] = ()) -> ClusterSnapshot:
    """A snapshot of these nodes."""
    return ClusterSnapshot(nodes, pods)


def busy(node_name: str, gpus: int, owner: str = "", memory_bytes: int = 0) -> PodRequests:
    """A bound pod that takes GPUs."""
    return PodRequests("other", f"busy-{node_name}-{gpus}", node_name, owner, gpus, 0, memory_bytes)


@cache
def facts(name: str) -> ModelFacts:
    """Facts of one of the configs in `tests/data/configs`."""
    config = json.loads((CONFIGS / name / "config.json").read_text())
    read = read_facts(ModelMetadata(name, "main", Origin.FILE, config))
    assert isinstance(read, ModelFacts), read
    return read


def request(model: str, *variants: Checkpoint, **fields: Any) -> PlanRequest:
    """Ask for one of the configs by its name."""
    return PlanRequest("default/test", (Checkpoint(CheckpointRef(model)), *variants), **fields)
