"""What planning reads of a spec, and when two requests are the same."""

from dataclasses import fields, replace
from typing import Any

import pytest

from modelserving.api.modelserving import Fallback, ModelServingSpec, Precision
from modelserving.models.metadata import CheckpointRef
from modelserving.planning.checkpoints import wanted
from modelserving.planning.request import Checkpoint, PlanRequest, request_from
from modelserving.units import GIB


def read(**given: Any) -> PlanRequest:
    return request_from("ns/name", ModelServingSpec.model_validate({"model": "a/b"} | given), "0.32.0")


def test_every_field_that_matters_to_planning_is_read() -> None:
    asked = read(
        revision="v1",
        precision="int4",
        variants=[{"precision": "int4", "model": "a/b-AWQ", "revision": "v2"}],
        contextLength=4096,
        concurrency=3,
        kvCachePrecision="fp8",
        replicas=2,
        gpu={
            "products": ["X"],
            "tensorParallelSize": 2,
            "pipelineParallelSize": 1,
            "maxPerReplica": 4,
            "memoryUtilization": 0.8,
        },
        offload={"cpuPerGPU": "16Gi"},
        engine={"version": "v0.31.0"},
        pod={"nodeSelector": {"b": "2", "a": "1"}, "tolerations": [{"key": "k"}], "affinity": {"nodeAffinity": {}}},
    )
    assert asked == PlanRequest(
        key="ns/name",
        checkpoints=(
            Checkpoint(CheckpointRef("a/b", "v1")),
            Checkpoint(CheckpointRef("a/b-AWQ", "v2"), Precision.INT4),
        ),
        precision=Precision.INT4,
        context_length=4096,
        concurrency=3,
        kv_cache_dtype="fp8",
        replicas=2,
        gpu_products=("X",),
        tensor_parallel_size=2,
        pipeline_parallel_size=1,
        max_gpus_per_replica=4,
        gpu_memory_utilization=0.8,
        cpu_offload_bytes=16 * GIB,
        engine_version="0.31.0",
        node_selector=(("a", "1"), ("b", "2")),
        tolerations=({"key": "k"},),
        affinity={"nodeAffinity": {}},
    )


def test_only_variants_of_the_precision_asked_for_are_looked_up() -> None:
    variants = [{"precision": "int4", "model": "a/b-AWQ"}, {"precision": "int8", "model": "a/b-INT8"}]
    assert [ref.model for ref in wanted(read(variants=variants, precision="int8"))] == ["a/b", "a/b-INT8"]
    assert [ref.model for ref in wanted(read(variants=variants))] == ["a/b"]


def test_scaling_and_renaming_do_not_make_another_request() -> None:
    asked = read()
    assert replace(asked, replicas=5, key="x/y").digest() == asked.digest()


def test_a_new_default_version_of_the_operator_does_not_make_another_request_but_a_version_asked_for_does() -> None:
    spec = ModelServingSpec.model_validate({"model": "a/b"})
    older, newer = request_from("a/b", spec, "0.31.0"), request_from("a/b", spec, "0.32.0")
    assert older.engine_version != newer.engine_version
    assert older.digest() == newer.digest()
    assert read(engine={"version": "0.31.0"}).digest() != read(engine={"version": "0.32.0"}).digest()


CHANGES: dict[str, Any] = {
    "checkpoints": (Checkpoint(CheckpointRef("c/d")),),
    "precision": Precision.FP8,
    "context_length": 1,
    "concurrency": 2,
    "kv_cache_dtype": "fp8",
    "gpu_products": ("X",),
    "tensor_parallel_size": 2,
    "pipeline_parallel_size": 1,
    "max_gpus_per_replica": 2,
    "gpu_memory_utilization": 0.5,
    "fallbacks": (Fallback.FP8,),
    "cpu_offload_bytes": 1,
    "engine_version": "0.31.0",
    "engine_version_is_default": True,
    "node_selector": (("a", "b"),),
    "tolerations": ({"key": "x"},),
    "affinity": {"nodeAffinity": {}},
}


@pytest.mark.parametrize("field", [f.name for f in fields(PlanRequest) if f.name not in ("key", "replicas", "pod")])
def test_whatever_else_changes_makes_another_request(field: str) -> None:
    asked = read(engine={"version": "0.32.0"})
    assert replace(asked, **{field: CHANGES[field]}).digest() != asked.digest()
