"""What the cluster has at one moment: an immutable picture that plans are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelserving.engine.device import Gpu


@dataclass(frozen=True, slots=True)
class Taint:
    """A node taint."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node, as decoded from the API; amounts are allocatable.

    Attributes:
        name: node's name.
        labels: node's labels.
        taints: node's taints.
        ready: Ready condition is True.
        schedulable: not cordoned.
        gpu_resource: extended resource that counts its GPUs (`nvidia.com/gpu`); empty where it has none.
        gpu_count: allocatable GPUs; 0 where it has none.
        gpu: the GPU, None where the node has none or its labels do not tell.
        cpu_millis: allocatable CPU in millicores.
        memory_bytes: allocatable host memory in bytes.
        problem: sentence on why the node's GPUs cannot be counted on (labels missing, absurd, …); empty if nothing is wrong.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    schedulable: bool = True
    gpu_resource: str = ""
    gpu_count: int = 0
    gpu: Gpu | None = None
    cpu_millis: int = 0
    memory_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PodRequests:
    """What a bound, unfinished pod takes of its node.

    Attributes:
        namespace: pod's namespace.
        name: pod's name.
        node: node it is bound to.
        owner: `namespace/name` of the ModelServing it belongs to; empty for all other pods.
        gpus: GPUs it requests.
        cpu_millis: CPU it requests.
        memory_bytes: host memory it requests.
    """

    namespace: str
    name: str
    node: str
    owner: str = ""
    gpus: int = 0
    cpu_millis: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """Nodes, and the pods bound to them."""

    nodes: tuple[NodeFacts, ...] = ()
    pods: tuple[PodRequests, ...] = ()
