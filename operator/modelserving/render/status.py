"""Status of a ModelServing: plan, outcome and workload -> what `kubectl` shows. Same input, same status: no write without a change."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelserving.api.status import (
    AlternativeStatus,
    PlanStatus,
    RankMemoryStatus,
    RejectedStatus,
)
from modelserving.engine.flags import PORT
from modelserving.planning.plan import Plan, Rejection
from modelserving.render.conditions import Subject, as_conditions, findings, most_important, shortened, waits
from modelserving.render.names import selector_text, workload_name
from modelserving.render.transitions import EventToPost, transitions
from modelserving.render.workload import WorkloadObservation, observed
from modelserving.sizing.budget import MemoryEstimate, RankMemory
from modelserving.units import GIB

__all__ = ["EventToPost", "Subject", "WorkloadObservation", "observe", "observed", "plan_status", "transitions"]

# A status is read by people and stored at every write: what explains is kept short. The offline `plan` shows all of it.
MOST_REJECTED = 16
MOST_ALTERNATIVES = 8
MOST_NOTES = 16
LONGEST_TEXT = 1024


def observe(
    subject: Subject,
    previous: Mapping[str, Any] | None,
    outcome: Plan | Rejection | None,
    workload: WorkloadObservation | None,
    *,
    now: str,
    in_force: Plan | None = None,
    arguments: Sequence[str] = (),
    reading: str = "",
    cluster_problem: str = "",
    contested: bool = False,
) -> dict[str, Any]:
    """Write the status of a ModelServing.

    Args:
        subject: the resource.
        previous: its status as it stands.
        outcome: what the spec as it is now led to; None while facts of the model are being read.
        workload: what runs; None if nothing does.
        now: time for conditions whose status changes, RFC 3339.
        in_force: plan that the running workload was made from, shown where the outcome is no plan.
        arguments: arguments of `vllm serve` of the plan that is shown; empty: those of the status as it stands.
        reading: sentence on what is being read, where the outcome is None.
        cluster_problem: sentence on what changed under the running plan, if anything did.
        contested: whether it is about somebody who keeps changing the workload.
    """
    before: Mapping[str, Any] = previous or {}
    shown = outcome if isinstance(outcome, Plan) else in_force
    found = findings(subject, outcome, workload, reading, cluster_problem, contested)
    waiting = isinstance(outcome, Plan) and not subject.plan_only and waits(outcome, workload)
    runs = workload is not None or (isinstance(outcome, Plan) and not subject.plan_only)
    status: dict[str, Any] = {
        "observedGeneration": subject.generation,
        "conditions": as_conditions(found, _items(before.get("conditions")), subject.generation, now),
        "replicas": workload.replicas if workload else 0,
        "readyReplicas": workload.ready if workload else 0,
        "selector": selector_text(subject.name),
        "reason": str(most_important(found, waiting)),
    }
    if not subject.plan_only or workload is not None:
        status["ready"] = f"{workload.ready if workload else 0}/{workload.desired if workload else subject.replicas}"
    if runs:
        status["endpoint"] = endpoint(subject)
    if shown is not None:
        written = plan_status(shown, arguments or _arguments(before))
        status["plan"] = written.model_dump(mode="json", by_alias=True, exclude_none=True)
    return status


def endpoint(subject: Subject) -> str:
    """Address of the OpenAI-compatible API inside the cluster, whatever the cluster's domain is called."""
    return f"http://{workload_name(subject.name)}.{subject.namespace}.svc:{PORT}/v1"


def plan_status(plan: Plan, arguments: Sequence[str]) -> PlanStatus:
    """Write a plan for people: sizes in GiB, texts cut where they run long."""
    return PlanStatus(
        decision=shortened(plan.decision, LONGEST_TEXT),
        model=plan.model,
        model_revision=plan.revision,
        facts_from=plan.origin,
        precision=plan.precision,
        quantization=plan.quantization,
        engine_version=plan.engine_version,
        tensor_parallel_size=plan.config.tensor_parallel_size,
        pipeline_parallel_size=plan.config.pipeline_parallel_size,
        data_parallel_size=plan.config.data_parallel_size,
        gpus_per_replica=plan.gpus_per_replica,
        gpu_product=plan.placement.gpu_product,
        nodes_per_replica=plan.placement.nodes_per_replica,
        fallbacks_taken=list(plan.given_up),
        arguments=list(arguments),
        memory=[_rank(rank, plan.memory) for rank in plan.memory.ranks],
        kv_cache_tokens=plan.memory.kv_cache_tokens,
        max_concurrency=f"{plan.memory.max_concurrency:.1f}",
        rejected=[
            RejectedStatus(candidate=r.candidate, reason=r.reason, message=shortened(r.message, LONGEST_TEXT))
            for r in plan.rejected[:MOST_REJECTED]
        ],
        alternatives=[
            AlternativeStatus(candidate=a.candidate, message=shortened(a.message, LONGEST_TEXT))
            for a in plan.alternatives[:MOST_ALTERNATIVES]
        ],
        notes=[shortened(note, LONGEST_TEXT) for note in plan.notes[:MOST_NOTES]],
    )


def _rank(rank: RankMemory, memory: MemoryEstimate) -> RankMemoryStatus:
    asked = memory.kv_cache.requested_bytes
    return RankMemoryStatus(
        pipeline_rank=rank.pipeline_rank,
        weights=_gib(rank.weights.value),
        kv_cache=_gib(asked),
        activation_peak=_gib(rank.activation_peak.value),
        cuda_graphs=_gib(rank.cuda_graphs.value),
        non_torch=_gib(rank.non_torch.value),
        total=_gib(rank.without_kv_cache + asked),
        available=_gib(memory.budget_bytes),
        spare=_gib(rank.kv_cache_available - asked),
    )


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / GIB:.2f}"


def _arguments(before: Mapping[str, Any]) -> list[str]:
    plan = before.get("plan")
    arguments = plan.get("arguments") if isinstance(plan, Mapping) else None
    return [str(argument) for argument in arguments] if isinstance(arguments, list) else []


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
