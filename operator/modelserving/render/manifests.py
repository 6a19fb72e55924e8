"""Plan -> manifests: a Deployment whose pods are the replicas, and a Service in front of them.

The plan goes into an annotation of the Deployment and not into the pod template, so that new words in a plan do not roll pods; a digest of
the whole goes beside it, so that a field which is no longer rendered is noticed.
"""

from typing import Any

from modelserving.api.modelserving import API_VERSION, KIND, ModelServing
from modelserving.api.reasons import Reason
from modelserving.engine.flags import PORT, check_extra_args
from modelserving.planning import record
from modelserving.planning.plan import Plan
from modelserving.render.digest import canonical_json, with_digest
from modelserving.render.names import (
    PLAN_ANNOTATION,
    SPEC_ANNOTATION,
    labels,
    selector,
    workload_name,
)
from modelserving.render.pod import PORT_NAME, pod_template
from modelserving.render.problem import RenderProblem
from modelserving.render.timing import timing
from modelserving.settings import Settings

__all__ = ["RenderProblem", "render"]

# Templates kept to go back to; each is one more ReplicaSet to look at.
_REVISION_HISTORY = 2


def render(serving: ModelServing, plan: Plan, settings: Settings) -> tuple[dict[str, Any], ...] | RenderProblem:
    """Write the Deployment and the Service of a ModelServing, or say which field stands against it."""
    if plan.placement.nodes_per_replica > 1 and not serving.spec.plan_only:
        return _spans_nodes(plan)
    flag = check_extra_args(serving.spec.engine.extra_args, plan.engine_version)
    if flag is not None:
        return RenderProblem(flag.reason, flag.message)
    template = pod_template(serving, plan, settings)
    if isinstance(template, RenderProblem):
        return template
    return with_digest(_deployment(serving, plan, template)), with_digest(_service(serving))


def _spans_nodes(plan: Plan) -> RenderProblem:
    placement = plan.placement
    return RenderProblem(
        Reason.NOT_YET_SUPPORTED,
        f"{plan.decision} This version of the operator does not start a replica on {placement.nodes_per_replica} nodes: "
        f"spec.planOnly: true shows the plan whole; spec.gpu.maxPerReplica: {placement.gpus_per_node} keeps a replica on one "
        "node, where spec.fallbacks may make it fit.",
    )


def _deployment(serving: ModelServing, plan: Plan, template: dict[str, Any]) -> dict[str, Any]:
    name = serving.metadata.name
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_metadata(serving), "annotations": _annotations(serving, plan)},
        "spec": {
            # Said although they are the defaults: what is said is put back where somebody changes it.
            "minReadySeconds": 0,
            "paused": False,
            "progressDeadlineSeconds": timing(plan.checkpoint_bytes, plan.engine_version).progress_deadline,
            "replicas": serving.spec.replicas,
            "revisionHistoryLimit": _REVISION_HISTORY,
            "selector": {"matchLabels": selector(name)},
            "strategy": _strategy(serving.spec.replicas, plan),
            "template": template,
        },
    }


def _annotations(serving: ModelServing, plan: Plan) -> dict[str, str]:
    """The plan, and the spec that it answers: while a later spec cannot be served, the workload is kept by this one."""
    spec = canonical_json(
        serving.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"replicas"})
    )
    kept = {SPEC_ANNOTATION: spec} if len(spec.encode()) < record.LONGEST_RECORD else {}
    return {PLAN_ANNOTATION: record.to_json(plan), **kept}


def _strategy(replicas: int, plan: Plan) -> dict[str, Any]:
    """Choose how pods are replaced.

    With GPUs for one replica more than wanted, beside those that run, the new pod comes first and the model stays up. Without, a new
    pod could only wait for the GPUs of the old one, and the old one for the new to be ready, for ever: so the old one goes first, and a
    single replica is away while the new one loads.
    """
    spare = min(plan.placement.free_now - replicas, plan.placement.beside_now) > 0
    surge, unavailable = (1, 0) if spare else (0, 1)
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def _service(serving: ModelServing) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(serving),
        "spec": {
            "ports": [{"name": PORT_NAME, "port": PORT, "protocol": "TCP", "targetPort": PORT_NAME}],
            "selector": selector(serving.metadata.name),
            "type": "ClusterIP",
        },
    }


def _metadata(serving: ModelServing) -> dict[str, Any]:
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": serving.metadata.name,
        "uid": serving.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "name": workload_name(serving.metadata.name),
        "namespace": serving.metadata.namespace,
        "labels": labels(serving.metadata.name),
        "ownerReferences": [owner],
    }
