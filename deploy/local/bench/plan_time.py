"""How long one plan takes, in this process, with as many nodes as the cluster of the other measurements."""

import time

import yaml

from bench.figures import Figure, percentile
from bench.stage import serving
from modelserving.api.modelserving import ModelServing
from modelserving.cluster.nodes import node_facts
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.hub.catalogue import lookup
from modelserving.models.metadata import CheckpointRef, ModelMetadata
from modelserving.models.reader import read_facts
from modelserving.planning.plan import Plan
from modelserving.planning.planner import plan
from modelserving.planning.request import request_from

ROUNDS = 200


def plan_time(nodes: str, sample: str) -> list[Figure]:
    """Time request, facts and plan of the bench's model and of a sample, from manifests already decoded.

    Args:
        nodes: YAML of the nodes.
        sample: YAML of a ModelServing.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    snapshot = ClusterSnapshot(tuple(node_facts(each) for each in yaml.load_all(nodes, Loader=loader)))
    figures = []
    for manifest in (serving("timed"), yaml.safe_load(sample)):
        resource = ModelServing.model_validate(manifest)
        metadata = lookup(CheckpointRef(resource.spec.model))
        assert isinstance(metadata, ModelMetadata), resource.spec.model
        took = [_once(resource, metadata, snapshot) for _ in range(ROUNDS)]
        what = f"plan {resource.spec.model.rpartition('/')[2]}, {len(snapshot.nodes)} nodes, p50"
        figures.append(Figure(what, "no figure", percentile(took, 0.50) * 1000, 5, "ms"))
    return figures


def _once(resource: ModelServing, metadata: ModelMetadata, snapshot: ClusterSnapshot) -> float:
    begun = time.perf_counter()
    request = request_from("default/timed", resource.spec)
    planned = plan(request, {ref.ref: read_facts(metadata) for ref in request.checkpoints}, snapshot)
    took = time.perf_counter() - begun
    assert isinstance(planned, Plan), planned
    return took
