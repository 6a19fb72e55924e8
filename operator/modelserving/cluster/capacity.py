"""Node shapes and what is free on them: the planner thinks in shapes, not in nodes.

A shape is a GPU product, since a pod asks for a product and the scheduler may put it on any node that has it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from modelserving.cluster.declared import DeclaredShape
from modelserving.cluster.facts import GpuDevice, NodeFacts
from modelserving.cluster.interconnect import Interconnect
from modelserving.cluster.pools import Pool, PoolNode, Pools
from modelserving.cluster.room import FreeGroup, FreeNode, Most, PodNeed, Taken, taken_by
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.engine.device import Gpu

# Slices of a GPU cannot reach each other (NVIDIA's MIG user guide: no peer-to-peer, over NVLink or PCIe), CUDA shows a process one of
# them, and NCCL's support is experimental (NVIDIA/nccl#1716): a pod is planned onto one.
MOST_SLICES_PER_POD = 1


@dataclass(frozen=True, slots=True)
class NodeShape:
    """All eligible nodes with GPUs of one product.

    Attributes:
        gpu: the GPU; where nodes differ in memory (ECC, driver), the one with the least.
        gpu_resource: extended resource that counts it.
        gpus_per_node: allocatable GPUs of the largest node.
        most: what the node with the most of each amount can allocate beside GPUs.
        groups: the nodes, by what is free on them.
        interconnect: how GPUs of one node reach each other.
        is_slice: whether a GPU is a MIG slice.
        selector: node labels that the pods have to ask for to get this product.
        price_per_gpu_hour: price of one GPU for one hour; None where none is declared.
        declared: name of the declared shape, where the nodes do not exist yet; empty where they do.
    """

    gpu: Gpu
    gpu_resource: str
    gpus_per_node: int
    most: Most
    groups: tuple[FreeGroup, ...]
    interconnect: Interconnect = Interconnect.PCIE
    is_slice: bool = False
    selector: tuple[tuple[str, str], ...] = ()
    price_per_gpu_hour: float | None = None
    declared: str = ""

    @property
    def host_memory_bytes(self) -> int:
        """Allocatable host memory of the node with the most."""
        return self.most.memory_bytes

    @property
    def max_devices_per_pod(self) -> int:
        """Most devices that one pod can make use of."""
        return min(MOST_SLICES_PER_POD, self.gpus_per_node) if self.is_slice else self.gpus_per_node

    @property
    def nodes(self) -> Mapping[str, FreeNode]:
        """What is free on each node, in the order of names: for messages; counting goes by `groups`."""
        return dict(sorted((name, node) for group in self.groups for name, node in group.members.items()))

    @property
    def gpus_free(self) -> int:
        """Free GPUs of all nodes."""
        return sum(group.count * group.least.gpus for group in self.groups)

    @property
    def gpus_in_all(self) -> int:
        """Allocatable GPUs of all nodes."""
        return sum(group.count * group.least.capacity for group in self.groups)

    @property
    def most_free_on_a_node(self) -> int:
        """Free GPUs of the node with the most."""
        return max((group.least.gpus for group in self.groups), default=0)

    def left_at_best(self, gpus: int) -> int:
        """GPUs left on the node that a pod fits best; those of a whole node where it fits none now."""
        left = [group.least.gpus - gpus for group in self.groups if group.least.gpus >= gpus]
        return min(left, default=self.gpus_per_node)

    def replicas_for(self, need: PodNeed) -> int:
        """Count pods with this need that free resources hold now."""
        return sum(group.replicas(need) for group in self.groups)

    def replicas_free(self, gpus: int, memory_bytes: int = 0) -> int:
        """Count replicas of `gpus` GPUs and `memory_bytes` host memory each that free resources hold now."""
        return self.replicas_for(PodNeed(gpus, memory_bytes=memory_bytes))

    def scarce(self, need: PodNeed, replicas: int) -> tuple[str, ...]:
        """Name what keeps so many pods from starting now, each for a sentence; empty if nothing does.

        GPUs alone where there are too few of them. Otherwise each amount that runs short beside the GPUs; all that are asked for where
        only together they do.
        """
        if self.replicas_for(need) >= replicas:
            return ()
        if self.replicas_for(PodNeed(need.gpus)) < replicas:
            return ("GPUs",)
        each = {
            "CPU": PodNeed(need.gpus, cpu_millis=need.cpu_millis),
            "host memory": PodNeed(need.gpus, memory_bytes=need.memory_bytes),
            "local storage": PodNeed(need.gpus, ephemeral_bytes=need.ephemeral_bytes),
        }
        short = tuple(name for name, part in each.items() if self.replicas_for(part) < replicas)
        return short or tuple(name for name, part in each.items() if part != PodNeed(need.gpus))

    def replicas_at_most(self, gpus: int) -> int:
        """Count replicas of `gpus` GPUs that these nodes would hold if nothing else ran there."""
        return sum(group.count * (group.least.capacity // gpus) for group in self.groups)


def shapes(
    snapshot: ClusterSnapshot,
    obstacle: Callable[[NodeFacts], str],
    without: str = "",
    labels: frozenset[str] | None = None,
) -> tuple[NodeShape, ...]:
    """Group the nodes that have GPUs and no obstacle by product, with what pods leave free.

    Args:
        snapshot: nodes and bound pods.
        obstacle: says what keeps the pod off a node; empty if nothing does.
        without: `namespace/name` of the ModelServing whose own pods do not count, since the new plan replaces them.
        labels: node labels that `obstacle` looks at (`eligibility.labels_asked`): it is then asked once for nodes that agree in them. None:
            it may look at all of them, and is asked for every node.
    """
    own = taken_by(pod for pod in snapshot.pods if pod.owner == without) if without else {}
    merged: dict[tuple[str, str, bool, tuple[tuple[str, str], ...]], list[tuple[Pool, int]]] = {}
    for pool in _eligible(snapshot.pools, obstacle, own, labels):
        for index, device in enumerate(pool.devices):
            assert device.gpu is not None
            key = (device.gpu.product, device.resource, not device.selector, device.selector)
            merged.setdefault(key, []).append((pool, index))
    return tuple(_shape(parts, snapshot.prices) for _, parts in sorted(merged.items(), key=lambda entry: entry[0]))


def declared_shapes(snapshot: ClusterSnapshot, obstacle: Callable[[NodeFacts], str]) -> tuple[NodeShape, ...]:
    """List the shapes that an autoscaler could still make nodes of and that a pod may go to, all of them empty."""
    found = []
    for shape in snapshot.declared:
        if shape.problem or obstacle(shape.node):
            continue
        more = shape.max_nodes - _existing(snapshot.pools, shape)
        if more > 0:
            found += [_declared(shape, device, more, snapshot.prices) for device in shape.node.usable_devices]
    return tuple(sorted(found, key=lambda shape: (shape.gpu.product, shape.declared)))


def _eligible(
    pools: Pools, obstacle: Callable[[NodeFacts], str], own: Mapping[str, Taken], labels: frozenset[str] | None
) -> Iterable[Pool]:
    if labels is not None:
        yield from (pool for pool in pools.parts(labels, own) if not obstacle(pool.sample))
        return
    for pool in pools.parts(frozenset(), own):
        kept = {name: node for name, node in pool.nodes.items() if not obstacle(node.facts)}
        if len(kept) == len(pool.nodes):
            yield pool
        elif kept:
            yield Pool(kept)


def _shape(parts: list[tuple[Pool, int]], prices: Mapping[str, float]) -> NodeShape:
    devices = [pool.devices[index] for pool, index in parts]
    first = devices[0]
    gpu = _least([device.gpu for device in devices if device.gpu is not None])
    return NodeShape(
        gpu=gpu,
        gpu_resource=first.resource,
        gpus_per_node=max(device.count for device in devices),
        most=Most(*map(max, zip(*(pool.most for pool, _ in parts), strict=True))),
        groups=tuple(group for pool, index in parts for _, group in sorted(pool.groups[index].items())),
        interconnect=first.interconnect,
        is_slice=first.is_slice,
        selector=first.selector,
        price_per_gpu_hour=prices.get(gpu.product),
    )


def _least(gpus: list[Gpu]) -> Gpu:
    if all(gpu is gpus[0] for gpu in gpus):
        return gpus[0]
    return replace(
        gpus[0],
        memory_total_bytes=min(gpu.memory_total_bytes for gpu in gpus),
        compute_capability=min(gpu.compute_capability for gpu in gpus),
    )


def _existing(pools: Pools, shape: DeclaredShape) -> int:
    """Count nodes that exist of a declared shape: those that bear its labels and have its GPUs."""
    product = shape.node.gpu.product if shape.node.gpu is not None else ""
    return sum(
        len(pool.nodes)
        for pool in pools.parts(frozenset(shape.labels), {})
        if product in pool.sample.products and shape.labels.items() <= pool.sample.labels.items()
    )


def _declared(shape: DeclaredShape, device: GpuDevice, nodes: int, prices: Mapping[str, float]) -> NodeShape:
    assert device.gpu is not None
    free = PoolNode.of(shape.node, Taken()).free[shape.node.usable_devices.index(device)]
    price = shape.price_per_gpu_hour if shape.price_per_gpu_hour is not None else prices.get(device.gpu.product)
    return NodeShape(
        gpu=device.gpu,
        gpu_resource=device.resource,
        gpus_per_node=device.count,
        most=Pool({"": PoolNode.of(shape.node, Taken())}).most,
        groups=(FreeGroup(nodes, free, {}),),
        interconnect=device.interconnect,
        is_slice=device.is_slice,
        selector=device.selector,
        price_per_gpu_hour=price,
        declared=shape.name,
    )
