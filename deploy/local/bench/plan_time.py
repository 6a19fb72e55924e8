"""How long one plan takes, in this process, with as many nodes as the cluster of the other measurements."""

import time

import yaml

from bench.figures import Figure, percentile
from bench.stage import serving
from modelserving.api.modelserving import ModelServing
from modelserving.cluster.nodes import node_facts
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.hub.catalogue import lookup
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, ModelMetadata
from modelserving.models.reader import read_facts
from modelserving.planning.plan import Plan
from modelserving.planning.planner import plan
from modelserving.planning.request import request_from

ROUNDS = 200


def plan_time(nodes: str, sample: str) -> list[Figure]:
    """Time the plan of the bench's model and of a sample, from facts that are known, and how long those take to read from a config.

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
        facts = read_facts(metadata)
        name = resource.spec.model.rpartition("/")[2]
        took = [_once(resource, facts, snapshot) for _ in range(ROUNDS)]
        what = f"plan {name}, {len(snapshot.nodes)} nodes, p50"
        figures.append(Figure(what, "no figure", percentile(took, 0.50) * 1000, 5, "ms"))
        took = [_read(metadata) for _ in range(ROUNDS)]
        figures.append(Figure(f"facts of {name}, once a model", "no figure", percentile(took, 0.50) * 1000, None, "ms"))
    return figures


def _read(metadata: ModelMetadata) -> float:
    begun = time.perf_counter()
    read_facts(metadata)
    return time.perf_counter() - begun


def _once(resource: ModelServing, facts: ModelFacts | FactsRefusal, snapshot: ClusterSnapshot) -> float:
    begun = time.perf_counter()
    request = request_from("default/timed", resource.spec)
    planned = plan(request, {ref.ref: facts for ref in request.checkpoints}, snapshot)
    took = time.perf_counter() - begun
    assert isinstance(planned, Plan), planned
    return took
