"""Shapes of node that an autoscaler can make: declared in the operator's settings, read by the rules that real nodes are read by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelserving.cluster.facts import NodeFacts
from modelserving.cluster.nodes import node_facts
from modelserving.cluster.nvidia import MAJOR_LABEL, MINOR_LABEL
from modelserving.units import MIB, parse_whole

# An autoscaler's limit for a node group where nobody declares one: more nodes than a plan asks for.
MOST_NODES = 1000


class TaintFields(Protocol):
    """What a taint of a declared shape says."""

    @property
    def key(self) -> str:
        """Key."""

    @property
    def value(self) -> str:
        """Value."""

    @property
    def effect(self) -> str:
        """Effect."""


class NodeShapeFields(Protocol):
    """What a declared shape says; `settings.NodeShape` is one, and so is a document of the command line."""

    @property
    def name(self) -> str:
        """Name of the node group, for messages."""

    @property
    def gpu_product(self) -> str:
        """Product as the node label will say."""

    @property
    def gpu_resource(self) -> str:
        """Extended resource that counts its GPUs."""

    @property
    def gpus(self) -> int:
        """GPUs, or slices, of one node."""

    @property
    def gpu_memory(self) -> str | None:
        """Memory of one GPU as the driver reports it; None for products whose memory is known."""

    @property
    def compute_capability(self) -> str | None:
        """`9.0`; None for products that are known."""

    @property
    def cpu(self) -> str:
        """Allocatable CPU."""

    @property
    def memory(self) -> str:
        """Allocatable host memory."""

    @property
    def ephemeral_storage(self) -> str | None:
        """Allocatable local storage; None: as much as is asked for."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels the nodes will have, those of the GPU apart."""

    @property
    def taints(self) -> Sequence[TaintFields]:
        """Taints the nodes will have."""

    @property
    def max_nodes(self) -> int | None:
        """Nodes there can be, those that exist included; None: no limit is known."""

    @property
    def price_per_gpu_hour(self) -> float | None:
        """Price of one GPU for one hour, in any one currency; None: as `gpuPrices` say."""


@dataclass(frozen=True, slots=True)
class DeclaredShape:
    """A shape of node that does not have to exist.

    Attributes:
        name: of the node group.
        node: what one of its nodes will be; its name is empty, its problem says why it cannot be counted on.
        labels: labels that tell its nodes from others, as declared.
        max_nodes: nodes there can be, those that exist included.
        price_per_gpu_hour: price of one GPU for one hour; None where none is declared.
    """

    name: str
    node: NodeFacts
    labels: Mapping[str, str]
    max_nodes: int = MOST_NODES
    price_per_gpu_hour: float | None = None

    @property
    def problem(self) -> str:
        """Sentence on why it cannot be counted on; empty if nothing is wrong."""
        found = self.node.problem
        return f"node shape {self.name}: {found}" if found else ""


def declared_shape(fields: NodeShapeFields) -> DeclaredShape:
    """Read a declared shape: as the node that an autoscaler would make."""
    resource = fields.gpu_resource
    labels = {f"{resource}.product": fields.gpu_product, f"{resource}.count": str(fields.gpus)}
    if fields.gpu_memory is not None:
        labels[f"{resource}.memory"] = str(parse_whole(fields.gpu_memory) // MIB)
    if fields.compute_capability is not None:
        labels[MAJOR_LABEL], _, labels[MINOR_LABEL] = fields.compute_capability.partition(".")
    allocatable: dict[str, Any] = {"cpu": fields.cpu, "memory": fields.memory, resource: fields.gpus}
    if fields.ephemeral_storage is not None:
        allocatable["ephemeral-storage"] = fields.ephemeral_storage
    node = node_facts(
        {
            "metadata": {"name": "", "labels": {**labels, **fields.labels}},
            "spec": {"taints": [{"key": t.key, "value": t.value, "effect": t.effect} for t in fields.taints]},
            "status": {"allocatable": allocatable},
        }
    )
    most = MOST_NODES if fields.max_nodes is None else fields.max_nodes
    return DeclaredShape(fields.name, node, dict(fields.labels), most, fields.price_per_gpu_hour)
