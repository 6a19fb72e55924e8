"""Plans and rejections for machines: one shape, sizes as whole bytes, the same for JSON and YAML.

The shape is that of `status.plan` with bytes where status has GiB as text. Keys are added over time and never change their meaning.
"""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from modelserving.api.modelserving import ModelServingSpec
from modelserving.cli.inventory import Inventory
from modelserving.cli.outcomes import Outcome
from modelserving.engine.flags import arguments
from modelserving.planning.plan import Plan, Rejected, Rejection
from modelserving.sizing.budget import RankMemory, Term


def report(outcomes: Sequence[Outcome], inventory: Inventory) -> dict[str, Any]:
    """Put all outcomes and what they were planned for into one object."""
    return {
        "kind": "PlanReport",
        "nodes": {"source": inventory.source, "count": len(inventory.snapshot.nodes)},
        "items": [_item(outcome) for outcome in outcomes],
    }


def write(content: Any, form: str) -> str:
    """Write an object as `json` or `yaml`."""
    if form == "json":
        return json.dumps(content, indent=2, ensure_ascii=False)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120).rstrip("\n")


def _item(outcome: Outcome) -> dict[str, Any]:
    serving, result = outcome.resource.serving, outcome.result
    item: dict[str, Any] = {
        "namespace": serving.metadata.namespace,
        "name": serving.metadata.name,
        "file": outcome.resource.document.file,
        "document": outcome.resource.document.number,
        "planned": isinstance(result, Plan),
        "reason": outcome.reason,
        "message": outcome.message,
    }
    if isinstance(result, Rejection):
        return item | {
            "rejected": [_rejected(entry) for entry in result.rejected],
            "remedies": [{"change": remedy.change, "message": remedy.message} for remedy in result.remedies],
            "notes": list(result.notes),
        }
    return item | {"waiting": result.placement.waiting or None, "plan": _plan(outcome, result)}


def _plan(outcome: Outcome, plan: Plan) -> dict[str, Any]:
    spec = outcome.resource.serving.spec
    memory = plan.memory
    return {
        "decision": plan.decision,
        "model": plan.model,
        "modelRevision": plan.revision,
        "factsFrom": plan.origin,
        "architecture": plan.architecture,
        "parameters": plan.parameter_count,
        "checkpointBytes": plan.checkpoint_bytes,
        "precision": plan.precision,
        "quantization": plan.quantization,
        "engineVersion": plan.engine_version,
        "tensorParallelSize": plan.config.tensor_parallel_size,
        "pipelineParallelSize": plan.config.pipeline_parallel_size,
        "dataParallelSize": plan.config.data_parallel_size,
        "gpusPerReplica": plan.gpus_per_replica,
        "gpuProduct": plan.placement.gpu_product,
        "nodesPerReplica": plan.placement.nodes_per_replica,
        "gpusPerNode": plan.placement.gpus_per_node,
        "expertParallel": plan.config.enable_expert_parallel,
        "fallbacksTaken": list(plan.given_up),
        "replicasFreeNow": plan.placement.free_now,
        "arguments": list(_arguments(plan, spec)),
        "memory": [_rank(plan, rank) for rank in memory.ranks],
        "gpuMemoryBytes": memory.total_bytes,
        "hostMemoryBytes": memory.host_memory_bytes,
        "kvCacheTokens": memory.kv_cache_tokens,
        "maxConcurrency": round(memory.max_concurrency, 2),
        "rejected": [_rejected(entry) for entry in plan.rejected],
        "alternatives": [{"candidate": entry.candidate, "message": entry.message} for entry in plan.alternatives],
        "notes": list(plan.notes),
    }


def _arguments(plan: Plan, spec: ModelServingSpec) -> tuple[str, ...]:
    return arguments(
        model=plan.model,
        revision=plan.revision,
        served_model_name=spec.model,
        config=plan.config,
        engine_version=plan.engine_version,
        extra_args=spec.engine.extra_args,
    )


def _rank(plan: Plan, rank: RankMemory) -> dict[str, Any]:
    requested = plan.memory.kv_cache.requested_bytes
    return {
        "pipelineRank": rank.pipeline_rank,
        "weightsBytes": rank.weights.value,
        "kvCacheBytes": requested,
        "activationPeakBytes": _band(rank.activation_peak),
        "cudaGraphsBytes": _band(rank.cuda_graphs),
        "nonTorchBytes": _band(rank.non_torch),
        "totalBytes": rank.without_kv_cache + requested,
        "availableBytes": plan.memory.budget_bytes,
        "spareBytes": rank.kv_cache_available - requested,
        "offloadedBytes": rank.offloaded_bytes,
    }


def _band(term: Term) -> dict[str, int]:
    return {"estimate": term.value, "low": term.low, "high": term.high}


def _rejected(entry: Rejected) -> dict[str, Any]:
    return {
        "candidate": entry.candidate,
        "reason": str(entry.reason),
        "message": entry.message,
        "gpus": entry.gpus,
        "gpuProduct": entry.gpu_product,
        "shortfallBytes": entry.shortfall_bytes,
    }
