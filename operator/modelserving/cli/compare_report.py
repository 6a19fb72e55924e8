"""Comparisons for machines: one shape, sizes as whole bytes, the same for JSON and YAML.

Keys are added over time and never change their meaning.
"""

from collections.abc import Sequence
from typing import Any

from modelserving.cli.compare_case import Compared
from modelserving.cli.compare_figures import gpu_figures, rule_of_thumb_bytes
from modelserving.cli.inventory import Inventory
from modelserving.cluster.capacity import NodeShape
from modelserving.planning.comparison import Answer, Comparison, Row
from modelserving.planning.comparison_trial import Layout


def comparison_report(compared: Sequence[Compared], inventory: Inventory) -> dict[str, Any]:
    """Put all comparisons and the nodes they were made for into one object."""
    return {
        "kind": "ComparisonReport",
        "nodes": {"source": inventory.source, "count": len(inventory.snapshot.nodes)},
        "items": [_item(entry) for entry in compared],
    }


def _item(entry: Compared) -> dict[str, Any]:
    result = entry.result
    item: dict[str, Any] = {
        "name": entry.name or None,
        "model": entry.model,
        "compared": isinstance(result, Comparison),
    }
    if not isinstance(result, Comparison):
        return item | {"reason": str(result.reason), "message": result.message}
    facts = result.facts
    return item | {
        "modelRevision": facts.revision,
        "factsFrom": facts.origin.value,
        "architecture": facts.architecture,
        "parameters": facts.parameter_count,
        "storedPrecision": facts.stored_precision,
        "contextLength": result.context_length,
        "modelContextLength": facts.max_model_len,
        "concurrency": result.request.concurrency,
        "engineVersion": result.version.text,
        "engineRunsModel": not result.cannot_run,
        "message": result.cannot_run or None,
        "runsInstead": facts.runs_instead if result.cannot_run else None,
        "nodeKinds": [_shape(shape) for shape in result.shapes],
        "methods": [_row(result, row) for row in result.rows],
        "notes": list(result.notes),
    }


def _shape(shape: NodeShape) -> dict[str, Any]:
    return {
        "gpuProduct": shape.gpu.product,
        "gpusPerNode": shape.gpus_per_node,
        "nodes": len(shape.nodes),
        "gpuMemoryBytes": shape.gpu.memory_total_bytes,
        "computeCapability": ".".join(str(part) for part in shape.gpu.compute_capability),
        "hostMemoryBytes": shape.host_memory_bytes,
    }


def _row(comparison: Comparison, row: Row) -> dict[str, Any]:
    method = row.method
    return {
        "method": method.key,
        "label": method.label,
        "group": str(method.group),
        "checkpoint": method.facts.model,
        "estimatedCheckpoint": method.is_estimate,
        "quantization": method.quantization,
        "kvCacheDtype": method.kv_cache_dtype,
        "engineHasIt": not method.absent,
        "reason": method.reason or None,
        "message": method.absent or None,
        "weightsBytes": row.weights_bytes,
        "bytesPerParameter": round(row.bytes_per_parameter, 4) if row.bytes_per_parameter is not None else None,
        "kvCacheBytes": row.kv_cache_bytes,
        "ruleOfThumbBytes": rule_of_thumb_bytes(comparison, row),
        "cost": {"quality": method.cost.quality, "speed": method.cost.speed, "evidence": method.cost.evidence},
        "nodeKinds": [_answer(answer) for answer in row.answers],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {"gpuProduct": answer.shape.gpu.product, "works": answer.layout is not None}
    if answer.layout is None:
        return found | {"reason": answer.reason, "message": answer.message}
    return (
        found
        | _layout(answer.layout)
        | {
            "longestContext": answer.longest_context,
            "note": answer.note or None,
        }
    )


def _layout(layout: Layout) -> dict[str, Any]:
    config, memory, figures = layout.config, layout.memory, gpu_figures(layout)
    return {
        "gpus": layout.gpus,
        "nodesNeeded": layout.nodes,
        "tensorParallelSize": config.tensor_parallel_size,
        "pipelineParallelSize": config.pipeline_parallel_size,
        "dtype": config.dtype,
        "maxModelLen": config.max_model_len,
        "maxNumBatchedTokens": config.max_num_batched_tokens,
        "maxNumSeqs": config.max_num_seqs,
        "perGpu": {
            "weightsBytes": figures.weights,
            "kvCacheBytes": figures.kv_cache,
            "activationPeakBytes": figures.activation_peak,
            "cudaGraphsBytes": figures.cuda_graphs,
            "nonTorchBytes": figures.non_torch,
            "totalBytes": figures.total,
            "spareBytes": figures.spare,
            "availableBytes": figures.budget,
            "offloadedBytes": memory.tightest_rank.offloaded_bytes,
        },
        "hostMemoryBytes": memory.host_memory_bytes,
        "maxConcurrency": round(memory.max_concurrency, 2),
    }
