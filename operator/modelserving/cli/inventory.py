"""What to plan for: nodes, pods, quotas and declared shapes from files, or the bundled nodes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import yaml

from modelserving.cli.declared import Declared, declared_in, declares
from modelserving.cli.documents import Document, files_in, read_documents
from modelserving.cluster.nodes import node_facts
from modelserving.cluster.pods import pod_requests
from modelserving.cluster.quotas import quota_of
from modelserving.cluster.resource_slices import described, node_slice
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.errors import InputError

BUNDLED = "bundled"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Nodes and pods to plan for, and where they came from.

    Attributes:
        snapshot: what planning sees.
        source: `bundled`, or the files.
    """

    snapshot: ClusterSnapshot
    source: str

    @property
    def sentence(self) -> str:
        """What was planned for, for a person."""
        kinds = Counter(_kind(node) for node in self.snapshot.nodes)
        what = ", ".join(f"{count} × {kind}" if count > 1 else kind for kind, count in kinds.items())
        if self.source == BUNDLED:
            return f"one empty node of each well-known kind ({what}); plan for your own with --nodes FILE"
        pods = f", {len(self.snapshot.pods)} pods bound" if self.snapshot.pods else ", empty"
        declared = ", ".join(shape.name for shape in self.snapshot.declared)
        could = f", and nodes that can be made of {declared}" if declared else ""
        return f"{what or 'no nodes'}{pods if what else ''}{could}; from {self.source}"


def read_inventory(paths: Sequence[str]) -> Inventory:
    """Read nodes, and what bounds what may be planned onto them, from files and folders; without any, one node of each well-known kind.

    The output of `kubectl get nodes,pods,resourcequotas,resourceslices -A -o yaml` is such a file: what pods in it request is not free.
    So are values of the chart that declare node shapes.

    Raises:
        InputError: a file cannot be read, holds another kind of object, or there is neither a node nor a declared shape.
    """
    if not paths:
        return Inventory(_snapshot(_bundled()), BUNDLED)
    documents = read_documents(file for path in paths for file in files_in(path))
    snapshot = _snapshot(documents)
    if not snapshot.nodes and not snapshot.declared:
        raise InputError(f"{', '.join(paths)}: holds no Node; make one with `kubectl get nodes,pods -A -o yaml`")
    return Inventory(snapshot, ", ".join(paths))


def _bundled() -> list[Document]:
    text = resources.files("modelserving.cli").joinpath("nodes", "known.yaml").read_text(encoding="utf-8")
    return [Document(BUNDLED, number, content) for number, content in enumerate(yaml.safe_load_all(text), 1)]


def _snapshot(documents: Sequence[Document]) -> ClusterSnapshot:
    nodes, pods, quotas, slices, declared = [], [], [], [], Declared()
    for document in documents:
        match document.kind:
            case "Node":
                nodes.append(_node(document))
            case "Pod":
                pods += [pod for pod in [pod_requests(document.content)] if pod]
            case "ResourceQuota":
                quotas.append(quota_of(document.content))
            case "ResourceSlice":
                slices += [found for found in [node_slice(document.content)] if found]
            case "" if declares(document):
                declared = declared.plus(declared_in(document))
            case kind:
                raise InputError(
                    f"{document.place}: is {kind or 'an object without kind'}, expected are Node, Pod, ResourceQuota, "
                    "ResourceSlice, and values of the chart with settings.nodeShapes"
                )
    doubled = [name for name, count in Counter(node.name for node in nodes).items() if count > 1]
    if doubled:
        raise InputError(f"node {doubled[0]} is given more than once")
    return ClusterSnapshot(
        tuple(described(node, slices) for node in nodes),
        tuple(pods),
        declared.shapes,
        tuple(quotas),
        declared.prices,
    )


def _node(document: Document) -> NodeFacts:
    if not document.name:
        raise InputError(f"{document.place}: metadata.name is missing")
    return node_facts(document.content)


def _kind(node: NodeFacts) -> str:
    if node.gpu is None:
        return "GPUs set aside" if node.problem else "no GPU"
    return " + ".join(f"{d.gpu.product} x{d.count}" for d in node.usable_devices if d.gpu is not None)
