"""Where the replicas of a plan go, and how many could start now."""

from collections.abc import Sequence
from dataclasses import replace

from modelserving.cluster.capacity import NodeShape, shapes
from modelserving.cluster.eligibility import obstacle
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.planning.plan import Placement, Plan
from modelserving.planning.request import PlanRequest
from modelserving.units import format_gib


def obstacle_of(request: PlanRequest, node: NodeFacts) -> str:
    """Say what keeps the request's pods off a node; empty if nothing does."""
    return obstacle(node, request.node_selector, request.tolerations, request.affinity)


def usable_shapes(
    request: PlanRequest, snapshot: ClusterSnapshot, own_pods_count: bool = False
) -> tuple[NodeShape, ...]:
    """List the node shapes the request's pods may go to; its own running pods take nothing, unless they are to count."""
    without = "" if own_pods_count else request.key
    return shapes(snapshot, lambda node: obstacle_of(request, node), without=without)


def place(
    request: PlanRequest, snapshot: ClusterSnapshot, shape: NodeShape, gpus: int, host_memory_bytes: int
) -> Placement:
    """Place replicas of `gpus` GPUs and `host_memory_bytes` each on the nodes of a shape."""
    free = shape.replicas_free(gpus, host_memory_bytes)
    crowded = _of_product(usable_shapes(request, snapshot, own_pods_count=True), shape.gpu.product)
    return Placement(
        gpu_product=shape.gpu.product,
        gpu_resource=shape.gpu_resource,
        gpus_per_node=gpus,
        free_now=free,
        beside_now=crowded.replicas_free(gpus, host_memory_bytes) if crowded is not None else 0,
        waiting=_waiting(request, shape, gpus, host_memory_bytes, free),
    )


def refreshed(plan: Plan, request: PlanRequest, snapshot: ClusterSnapshot) -> Plan:
    """Place a plan in force anew: what is free has changed since it was made, what it decides has not."""
    product, gpus = plan.placement.gpu_product, plan.placement.gpus_per_node
    shape = _of_product(usable_shapes(request, snapshot), product)
    if shape is None:
        gone = f"Waits for nodes: none that can take the pods has {product} now."
        return replace(plan, placement=replace(plan.placement, free_now=0, beside_now=0, waiting=gone))
    return replace(plan, placement=place(request, snapshot, shape, gpus, plan.memory.host_memory_bytes))


def _of_product(found: Sequence[NodeShape], product: str) -> NodeShape | None:
    return next((shape for shape in found if shape.gpu.product == product), None)


def _waiting(request: PlanRequest, shape: NodeShape, gpus: int, host_memory_bytes: int, free: int) -> str:
    """Say what a plan waits for that fits the hardware but not what is free now; empty if it waits for nothing."""
    if free >= request.replicas:
        return ""
    wanted = "it needs" if request.replicas == 1 else f"each of {request.replicas} replicas needs"
    started = f"{free} of {request.replicas} replicas can start now."
    if shape.replicas_free(gpus) >= request.replicas:
        memory = format_gib(host_memory_bytes)
        return f"Waits for host memory: {wanted} {memory} beside {gpus} × {shape.gpu.product}; {started}"
    idle = sum(node.gpus for node in shape.nodes)
    most = max((node.gpus for node in shape.nodes), default=0)
    return (
        f"Waits for free GPUs: {wanted} {gpus} × {shape.gpu.product} on one node; {idle} of "
        f"{sum(node.capacity for node in shape.nodes)} are free or held by its own pods, at most {most} on one node; {started}"
    )
