"""Where the replicas of a plan go, and how many could start now."""

from collections.abc import Sequence
from dataclasses import replace

from modelserving.cluster.capacity import NodeShape, declared_shapes, shapes
from modelserving.cluster.eligibility import labels_asked, obstacle
from modelserving.cluster.room import PodNeed
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.planning.layouts import Layout
from modelserving.planning.plan import Placement, Plan
from modelserving.planning.request import PlanRequest
from modelserving.units import ceil_div, format_gib

# One CPU for each GPU's worker, which polls, and one for the API server and the engine's scheduler: the least that does not starve them.
SHARED_CPUS = 1
MILLIS = 1000


def obstacle_of(request: PlanRequest, node: NodeFacts) -> str:
    """Say what keeps the request's pods off a node; empty if nothing does."""
    return obstacle(node, request.node_selector, request.tolerations, request.affinity)


def usable_shapes(
    request: PlanRequest, snapshot: ClusterSnapshot, own_pods_count: bool = False
) -> tuple[NodeShape, ...]:
    """List the node shapes the request's pods may go to; its own running pods take nothing, unless they are to count."""
    without = "" if own_pods_count else request.key
    labels = labels_asked(request.node_selector, request.affinity)
    return shapes(snapshot, lambda node: obstacle_of(request, node), without=without, labels=labels)


def shapes_to_be(request: PlanRequest, snapshot: ClusterSnapshot) -> tuple[NodeShape, ...]:
    """List the declared shapes the request's pods may go to, of which an autoscaler can still make nodes."""
    return declared_shapes(snapshot, lambda node: obstacle_of(request, node))


def pod_need(layout: Layout, host_memory_bytes: int) -> PodNeed:
    """What the pod of a replica asks of each of its nodes, as `render.resources` asks for it."""
    gpus = layout.gpus_per_node
    return PodNeed(gpus, (SHARED_CPUS + gpus) * MILLIS, host_memory_bytes)


def place(
    request: PlanRequest, snapshot: ClusterSnapshot, shape: NodeShape, layout: Layout, host_memory_bytes: int
) -> Placement:
    """Place replicas on the nodes of a shape, each with `host_memory_bytes` on each of its nodes."""
    need, nodes = pod_need(layout, host_memory_bytes), layout.nodes
    free = 0 if shape.declared else shape.replicas_for(need) // nodes
    crowded = _of_product(usable_shapes(request, snapshot, own_pods_count=True), shape.gpu.product)
    return Placement(
        gpu_product=shape.gpu.product,
        gpu_resource=shape.gpu_resource,
        gpus_per_node=layout.gpus_per_node,
        nodes_per_replica=nodes,
        free_now=free,
        beside_now=crowded.replicas_for(need) // nodes if crowded is not None else 0,
        waiting=_waiting(request, shape, layout, need, free),
        selector=shape.selector,
    )


def refreshed(plan: Plan, request: PlanRequest, snapshot: ClusterSnapshot) -> Plan:
    """Place a plan in force anew: what is free has changed since it was made, what it decides has not."""
    product, config, nodes = plan.placement.gpu_product, plan.config, plan.placement.nodes_per_replica
    layout = Layout(config.tensor_parallel_size, config.pipeline_parallel_size, nodes, config.enable_expert_parallel)
    found = usable_shapes(request, snapshot) + shapes_to_be(request, snapshot)
    shape = _of_product(found, product)
    if shape is None:
        gone = f"Waits for nodes: none that can take the pods has {product} now."
        return replace(plan, placement=replace(plan.placement, free_now=0, beside_now=0, waiting=gone))
    host_memory = ceil_div(plan.memory.host_memory_bytes, nodes)
    return replace(plan, placement=place(request, snapshot, shape, layout, host_memory))


def _of_product(found: Sequence[NodeShape], product: str) -> NodeShape | None:
    return next((shape for shape in found if shape.gpu.product == product), None)


def _waiting(request: PlanRequest, shape: NodeShape, layout: Layout, need: PodNeed, free: int) -> str:
    """Say what a plan waits for that fits the hardware but not what is free now; empty if it waits for nothing."""
    if free >= request.replicas:
        return ""
    nodes = layout.nodes
    wanted = "it needs" if request.replicas == 1 else f"each of {request.replicas} replicas needs"
    started = f"{free} of {request.replicas} replicas can start now."
    where = "one node" if nodes == 1 else f"each of {nodes} nodes"
    if shape.declared:
        return (
            f"Waits for nodes of the shape {shape.declared}, which are to be made: {wanted} {need.gpus} × {shape.gpu.product} on "
            f"{where}, and no node that exists would do."
        )
    scarce = shape.scarce(need, request.replicas * nodes)
    if "GPUs" not in scarce:
        amounts = {
            "CPU": f"{need.cpu_millis // MILLIS} CPUs",
            "host memory": f"{format_gib(need.memory_bytes)} of memory",
        }
        asked = " and ".join(amounts[name] for name in scarce if name in amounts)
        return f"Waits for {' and '.join(scarce)}: {wanted} {asked} beside {need.gpus} × {shape.gpu.product}; {started}"
    return (
        f"Waits for free GPUs: {wanted} {need.gpus} × {shape.gpu.product} on {where}; {shape.gpus_free} of "
        f"{shape.gpus_in_all} are free or held by its own pods, at most {shape.most_free_on_a_node} on one node; {started}"
    )
