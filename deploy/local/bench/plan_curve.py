"""What a plan costs in a large cluster: by nodes and kinds of node; cold, and as the operator makes it, one pod changed since the last."""

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from bench.figures import Figure, percentile
from bench.stage import serving
from modelserving.api.modelserving import ModelServing
from modelserving.cluster.nodes import node_facts
from modelserving.cluster.products import PRODUCTS
from modelserving.cluster.snapshot import ClusterSnapshot, NodeFacts, PodRequests
from modelserving.controller.picture import ClusterPicture
from modelserving.hub.catalogue import lookup
from modelserving.models.facts import ModelFacts
from modelserving.models.metadata import CheckpointRef, ModelMetadata
from modelserving.models.reader import read_facts
from modelserving.planning.plan import Rejection
from modelserving.planning.planner import plan
from modelserving.planning.request import PlanRequest, request_from
from modelserving.units import GIB

NODES, KINDS, PODS = 5000, 20, 2000
# More requests at once than all GPUs of any kind of node could keep the cache of.
TOO_MANY = 100_000
ROUNDS = 100
COLD_ROUNDS = 9
# (nodes, kinds of node)
CURVE = ((100, 20), (1000, 20), (5000, 20), (5000, 1), (5000, 5), (5000, 10), (5000, 40))


def plan_curve() -> Iterator[Figure]:
    """Plan with 5,000 nodes in 20 pools and 2,000 bound pods, then along both axes."""
    request, facts = _asked()
    warm, cold = _measured(NODES, KINDS, request, facts)
    what = f"plan, {NODES:,} nodes in {KINDS} pools, {PODS:,} pods"
    yield Figure(f"{what}, p50", "no figure", percentile(warm, 0.5) * 1000, 5, "ms")
    yield Figure(f"{what}, cold, p50", "no figure", percentile(cold, 0.5) * 1000, 50, "ms")
    rejected = percentile(_rejected(replace(request, concurrency=TOO_MANY), facts), 0.5) * 1000
    yield Figure(f"rejection, {NODES:,} nodes in {KINDS} pools, p50", "no figure", rejected, None, "ms")
    points = (
        f"{nodes:,} nodes, {kinds} kinds: {percentile(_measured(nodes, kinds, request, facts)[0], 0.5) * 1000:.2f} ms"
        for nodes, kinds in CURVE
    )
    yield Figure("plan by nodes and kinds of node", "no figure", len(CURVE), None, "points", "; ".join(points))


def _asked() -> tuple[PlanRequest, ModelFacts]:
    resource = ModelServing.model_validate(serving("timed"))
    metadata = lookup(CheckpointRef(resource.spec.model))
    assert isinstance(metadata, ModelMetadata), resource.spec.model
    facts = read_facts(metadata)
    assert isinstance(facts, ModelFacts), facts
    return request_from("default/timed", resource.spec), facts


def _measured(
    nodes: int, kinds: int, request: PlanRequest, facts: ModelFacts
) -> tuple[Sequence[float], Sequence[float]]:
    """Seconds of plans as the operator makes them, and of plans from nothing."""
    made = [_node(number, number % kinds) for number in range(nodes)]
    pods = [_pod(made[number % nodes].name, number) for number in range(min(PODS, nodes))]
    checkpoint = request.checkpoints[0].ref
    picture = ClusterPicture(time.monotonic)
    for node in made:
        picture.put_node(node, 1)
    picture.replace_pods((pod.name, pod) for pod in pods)
    picture.snapshot()
    warm, cold = [], []
    names = count()
    # As the operator does once it has read everything: collections need not look at all nodes again.
    gc.collect()
    gc.freeze()
    for number in range(ROUNDS):
        picture.put_pod(f"new-{next(names)}", _pod(made[(7 * number) % nodes].name, number))
        begun = time.perf_counter()
        plan(request, {checkpoint: facts}, picture.snapshot())
        warm.append(time.perf_counter() - begun)
    for _ in range(COLD_ROUNDS):
        begun = time.perf_counter()
        plan(request, {checkpoint: facts}, ClusterSnapshot(tuple(made), tuple(pods)))
        cold.append(time.perf_counter() - begun)
    return warm, cold


def _rejected(request: PlanRequest, facts: ModelFacts) -> Sequence[float]:
    """Seconds it takes to find out that something fits nowhere."""
    snapshot, took = ClusterSnapshot(tuple(_node(number, number % KINDS) for number in range(NODES))), []
    for _ in range(COLD_ROUNDS):
        begun = time.perf_counter()
        decided = plan(request, {request.checkpoints[0].ref: facts}, snapshot)
        took.append(time.perf_counter() - begun)
        assert isinstance(decided, Rejection), decided
    return took


def _node(number: int, kind: int) -> NodeFacts:
    """A node of 8 GPUs; kinds differ in product, and by the taint of their pool where there are more kinds than products."""
    product = PRODUCTS[kind % len(PRODUCTS)]
    pool = f"pool-{kind}"
    labels = {
        "kubernetes.io/hostname": f"node-{number}",
        "pool": pool,
        "nvidia.com/gpu.product": f"NVIDIA-{product.pattern}",
        "nvidia.com/gpu.memory": str(product.label_mib),
        "nvidia.com/gpu.count": "8",
    }
    return node_facts(
        {
            "metadata": {"name": f"node-{number}", "labels": labels},
            "spec": {"taints": [{"key": "pool", "value": pool, "effect": "PreferNoSchedule"}]},
            "status": {"allocatable": {"nvidia.com/gpu": "8", "cpu": "128", "memory": "2Ti", "pods": "110"}},
        }
    )


def _pod(node: str, number: int) -> PodRequests:
    return PodRequests("default", f"pod-{number}", node, "", (("nvidia.com/gpu", 1 + number % 4),), 4000, 32 * GIB)
