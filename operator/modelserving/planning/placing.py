"""Where the replicas of a plan go, and how many could start now."""

from collections.abc import Sequence
from dataclasses import replace

from modelserving.cluster.capacity import NodeShape, shapes
from modelserving.cluster.eligibility import obstacle
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.planning.layouts import Layout
from modelserving.planning.plan import Placement, Plan
from modelserving.planning.request import PlanRequest
from modelserving.units import ceil_div, format_gib


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
    request: PlanRequest, snapshot: ClusterSnapshot, shape: NodeShape, layout: Layout, host_memory_bytes: int
) -> Placement:
    """Place replicas on the nodes of a shape, each with `host_memory_bytes` on each of its nodes."""
    gpus, nodes = layout.gpus_per_node, layout.nodes
    free = shape.replicas_free(gpus, host_memory_bytes) // nodes
    crowded = _of_product(usable_shapes(request, snapshot, own_pods_count=True), shape.gpu.product)
    return Placement(
        gpu_product=shape.gpu.product,
        gpu_resource=shape.gpu_resource,
        gpus_per_node=gpus,
        nodes_per_replica=nodes,
        free_now=free,
        beside_now=crowded.replicas_free(gpus, host_memory_bytes) // nodes if crowded is not None else 0,
        waiting=_waiting(request, shape, layout, host_memory_bytes, free),
    )


def refreshed(plan: Plan, request: PlanRequest, snapshot: ClusterSnapshot) -> Plan:
    """Place a plan in force anew: what is free has changed since it was made, what it decides has not."""
    product, config, nodes = plan.placement.gpu_product, plan.config, plan.placement.nodes_per_replica
    layout = Layout(config.tensor_parallel_size, config.pipeline_parallel_size, nodes, config.enable_expert_parallel)
    shape = _of_product(usable_shapes(request, snapshot), product)
    if shape is None:
        gone = f"Waits for nodes: none that can take the pods has {product} now."
        return replace(plan, placement=replace(plan.placement, free_now=0, beside_now=0, waiting=gone))
    host_memory = ceil_div(plan.memory.host_memory_bytes, nodes)
    return replace(plan, placement=place(request, snapshot, shape, layout, host_memory))


def _of_product(found: Sequence[NodeShape], product: str) -> NodeShape | None:
    return next((shape for shape in found if shape.gpu.product == product), None)


def _waiting(request: PlanRequest, shape: NodeShape, layout: Layout, host_memory_bytes: int, free: int) -> str:
    """Say what a plan waits for that fits the hardware but not what is free now; empty if it waits for nothing."""
    if free >= request.replicas:
        return ""
    gpus, nodes = layout.gpus_per_node, layout.nodes
    wanted = "it needs" if request.replicas == 1 else f"each of {request.replicas} replicas needs"
    started = f"{free} of {request.replicas} replicas can start now."
    if shape.replicas_free(gpus) // nodes >= request.replicas:
        memory = format_gib(host_memory_bytes)
        return f"Waits for host memory: {wanted} {memory} beside {gpus} × {shape.gpu.product}; {started}"
    where = "one node" if nodes == 1 else f"each of {nodes} nodes"
    idle = sum(node.gpus for node in shape.nodes)
    most = max((node.gpus for node in shape.nodes), default=0)
    return (
        f"Waits for free GPUs: {wanted} {gpus} × {shape.gpu.product} on {where}; {idle} of "
        f"{sum(node.capacity for node in shape.nodes)} are free or held by its own pods, at most {most} on one node; {started}"
    )
