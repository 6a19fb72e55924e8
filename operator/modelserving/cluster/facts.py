"""Nodes and pods as planning sees them: values only, decoded elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelserving.cluster.interconnect import Interconnect
from modelserving.engine.device import Gpu


@dataclass(frozen=True, slots=True)
class Taint:
    """A node taint."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """One kind of GPU that a node offers, all counted by one extended resource.

    Attributes:
        resource: the extended resource (`nvidia.com/gpu`, `nvidia.com/mig-3g.40gb`, `amd.com/gpu`).
        count: allocatable devices.
        gpu: what the engine sees of one; None where they cannot be counted on.
        interconnect: how devices of one pod reach each other.
        is_slice: whether a device is a part of a GPU (MIG): it has memory of its own and no way to its neighbours.
        selector: node labels that tell it from other kinds, for the pods to ask for; empty where the node has no such label.
        problem: sentence on why they cannot be counted on; empty if nothing is wrong.
    """

    resource: str
    count: int = 0
    gpu: Gpu | None = None
    interconnect: Interconnect = Interconnect.PCIE
    is_slice: bool = False
    selector: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether pods may be planned onto it."""
        return self.gpu is not None and self.count > 0 and not self.problem


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One node, as decoded from the API; amounts are allocatable.

    Attributes:
        name: node's name.
        labels: node's labels.
        taints: node's taints.
        ready: Ready condition is True.
        schedulable: not cordoned.
        devices: every kind of GPU it offers, whole ones first.
        cpu_millis: CPU in millicores.
        memory_bytes: host memory in bytes.
        ephemeral_bytes: local storage for pods in bytes; None where the node does not say.
        pods: pods it takes; None where the node does not say.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    schedulable: bool = True
    devices: tuple[GpuDevice, ...] = ()
    cpu_millis: int = 0
    memory_bytes: int = 0
    ephemeral_bytes: int | None = None
    pods: int | None = None

    @property
    def usable_devices(self) -> tuple[GpuDevice, ...]:
        """Kinds of GPU that pods may be planned onto."""
        return tuple(device for device in self.devices if device.usable)

    @property
    def problem(self) -> str:
        """Sentence on why none of its GPUs can be counted on; empty where some can, or it has none."""
        return "" if not self.devices or self.usable_devices else self.devices[0].problem

    @property
    def gpu(self) -> Gpu | None:
        """The first GPU that can be counted on, None if there is none."""
        return next((device.gpu for device in self.usable_devices), None)

    @property
    def gpu_count(self) -> int:
        """Devices of its first kind."""
        return next((device.count for device in self.usable_devices or self.devices), 0)

    @property
    def gpu_resource(self) -> str:
        """Extended resource of its first kind, empty where it has no GPUs."""
        return next((device.resource for device in self.usable_devices or self.devices), "")

    @property
    def products(self) -> frozenset[str]:
        """GPU products that can be counted on."""
        return frozenset(device.gpu.product for device in self.usable_devices if device.gpu is not None)

    def gpus(self, product: str) -> int:
        """Count devices of a product that can be counted on."""
        return sum(d.count for d in self.usable_devices if d.gpu is not None and d.gpu.product == product)


@dataclass(frozen=True, slots=True)
class PodRequests:
    """What an unfinished pod takes of its node.

    Attributes:
        namespace: pod's namespace.
        name: pod's name.
        node: node it is bound to; empty for a pod of ours that is not bound yet.
        owner: `namespace/name` of the ModelServing it belongs to; empty for all other pods.
        devices: (extended resource, count) of every kind of GPU it requests, in the order of names.
        cpu_millis: CPU it requests.
        memory_bytes: host memory it requests.
        ephemeral_bytes: local storage it requests.
        pods: how many pods this stands for, where several are counted as one.
    """

    namespace: str
    name: str
    node: str
    owner: str = ""
    devices: tuple[tuple[str, int], ...] = ()
    cpu_millis: int = 0
    memory_bytes: int = 0
    ephemeral_bytes: int = 0
    pods: int = 1

    @property
    def gpus(self) -> int:
        """GPUs it requests, of all kinds together."""
        return sum(count for _, count in self.devices)
