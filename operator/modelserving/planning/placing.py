"""Where the replicas of a plan go, and how many could start now."""

from collections.abc import Sequence
from dataclasses import replace

from modelserving.cluster.capacity import NodeShape, declared_shapes, shapes
from modelserving.cluster.eligibility import labels_asked, obstacle
from modelserving.cluster.quotas import QuotaObstacle, quota_obstacle
from modelserving.cluster.room import PodNeed
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts
from modelserving.planning.layouts import Layout
from modelserving.planning.plan import Placement, Plan
from modelserving.planning.pod_needs import MILLIS
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
    labels = labels_asked(request.node_selector, request.affinity)
    return shapes(snapshot, lambda node: obstacle_of(request, node), without=without, labels=labels)


def shapes_to_be(request: PlanRequest, snapshot: ClusterSnapshot) -> tuple[NodeShape, ...]:
    """List the declared shapes the request's pods may go to, of which an autoscaler can still make nodes."""
    return declared_shapes(snapshot, lambda node: obstacle_of(request, node))


def place(
    request: PlanRequest, snapshot: ClusterSnapshot, shape: NodeShape, layout: Layout, need: PodNeed
) -> Placement:
    """Place replicas on the nodes of a shape, with pods of this need."""
    nodes = layout.nodes
    free = 0 if shape.declared else shape.replicas_for(need) // nodes
    crowded: NodeShape | None = shape
    if any(pod.owner == request.key for pod in snapshot.pods):
        found = usable_shapes(request, snapshot, own_pods_count=True)
        crowded = _same(found, shape.gpu.product, shape.gpu_resource, shape.selector)
    return Placement(
        gpu_product=shape.gpu.product,
        gpu_resource=shape.gpu_resource,
        gpus_per_node=layout.gpus_per_node,
        nodes_per_replica=nodes,
        free_now=free,
        beside_now=0 if crowded is None or shape.declared else crowded.replicas_for(need) // nodes,
        waiting=_waiting(request, shape, layout, need, free) or _over_quota(request, snapshot, shape, layout, need),
        selector=shape.selector,
    )


def refreshed(plan: Plan, request: PlanRequest, snapshot: ClusterSnapshot) -> Plan:
    """Place a plan in force anew: what is free has changed since it was made, what it decides has not."""
    product, config, nodes = plan.placement.gpu_product, plan.config, plan.placement.nodes_per_replica
    layout = Layout(
        config.tensor_parallel_size,
        config.pipeline_parallel_size,
        nodes,
        config.enable_expert_parallel,
        config.data_parallel_size,
    )
    found = usable_shapes(request, snapshot) + shapes_to_be(request, snapshot)
    shape = _same(found, product, plan.placement.gpu_resource, plan.placement.selector)
    if shape is None:
        gone = f"Waits for nodes: none that can take the pods has {product} now."
        return replace(plan, placement=replace(plan.placement, free_now=0, beside_now=0, waiting=gone))
    need = request.pod.need(layout, ceil_div(plan.memory.host_memory_bytes, nodes), plan.checkpoint_bytes)
    return replace(plan, placement=place(request, snapshot, shape, layout, need))


def _same(
    found: Sequence[NodeShape], product: str, resource: str, selector: tuple[tuple[str, str], ...]
) -> NodeShape | None:
    """The shape whose GPUs a pod gets that asks for these; plans of earlier versions ask for the product alone."""
    wanted = (product, resource)
    alike = (shape for shape in found if (shape.gpu.product, shape.gpu_resource) == wanted)
    return next((shape for shape in alike if not selector or shape.selector == selector), None)


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
            "local storage": f"{format_gib(need.ephemeral_bytes)} of local storage",
        }
        asked = " and ".join(amounts[name] for name in scarce if name in amounts)
        return f"Waits for {' and '.join(scarce)}: {wanted} {asked} beside {need.gpus} × {shape.gpu.product}; {started}"
    return (
        f"Waits for free GPUs: {wanted} {need.gpus} × {shape.gpu.product} on {where}; {shape.gpus_free} of "
        f"{shape.gpus_in_all} are free or held by its own pods, at most {shape.most_free_on_a_node} on one node; {started}"
    )


def too_small(shape: NodeShape, need: PodNeed) -> str:
    """Say what the largest nodes of a shape have too little of for a pod, whatever runs there; empty if nothing."""
    most = shape.most
    if need.cpu_millis > most.cpu_millis:
        return (
            f"a pod asks for {need.cpu_millis / MILLIS:g} CPUs, the largest such node has {most.cpu_millis / MILLIS:g}; "
            "spec.pod.resources.requests.cpu may ask for fewer"
        )
    if need.memory_bytes > most.memory_bytes:
        return (
            f"a pod asks for {format_gib(need.memory_bytes)} of host memory, the largest such node has "
            f"{format_gib(most.memory_bytes)}"
        )
    if need.ephemeral_bytes > most.ephemeral_bytes:
        return (
            f"a pod asks for {format_gib(need.ephemeral_bytes)} of local storage, the largest such node has "
            f"{format_gib(most.ephemeral_bytes)}; spec.cache.persistentVolumeClaim keeps weights elsewhere"
        )
    return ""


def quota_in_the_way(
    request: PlanRequest, snapshot: ClusterSnapshot, gpu_resource: str, layout: Layout, need: PodNeed
) -> QuotaObstacle | None:
    """Say what a ResourceQuota of the namespace has against the pods; None if nothing."""
    running = sum(pod.pods for pod in snapshot.pods if pod.owner == request.key)
    return quota_obstacle(
        snapshot.quotas,
        request.namespace,
        need,
        request.replicas * layout.nodes,
        gpu_resource=gpu_resource,
        running=running,
        limits=request.pod.stated_limits,
        priority_class=request.pod.priority_class,
    )


def _over_quota(
    request: PlanRequest, snapshot: ClusterSnapshot, shape: NodeShape, layout: Layout, need: PodNeed
) -> str:
    obstacle = quota_in_the_way(request, snapshot, shape.gpu_resource, layout, need) if snapshot.quotas else None
    return f"Waits for quota: {obstacle.message}" if obstacle is not None else ""
