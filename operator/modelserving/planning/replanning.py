"""Whether a new plan may replace the one in force although nothing else is asked for: `spec.replan`.

    Never              only a change of the spec makes a new plan
    WhenUnschedulable  when pods of it have found no node for a stated time
    Always             whenever the cluster allows a plan that is preferred

A new plan replaces the one in force only where it runs something else and all replicas could start at once, GPUs of the pods that it
replaces counted as free: a rollout never ends with less than was there before it.
"""

from dataclasses import dataclass

from modelserving.api.choices import Replan
from modelserving.planning.plan import Plan, Rejection


@dataclass(frozen=True, slots=True)
class Due:
    """Whether to look for another plan.

    Attributes:
        now: whether to look now.
        wait_seconds: when it will be time if nothing changes; None where nothing has to be waited for.
    """

    now: bool = False
    wait_seconds: float | None = None


def due(policy: Replan, unscheduled_seconds: float | None, patience_seconds: float) -> Due:
    """Say whether to look for another plan.

    Args:
        policy: `spec.replan`.
        unscheduled_seconds: for how long pods have found no node; None where all have one.
        patience_seconds: how long that has to last under `WhenUnschedulable`.
    """
    if policy is Replan.ALWAYS:
        # Pods of others that end are not heard of one by one.
        return Due(now=True, wait_seconds=None if unscheduled_seconds is None else patience_seconds)
    if policy is Replan.NEVER or unscheduled_seconds is None:
        return Due()
    left = patience_seconds - unscheduled_seconds
    return Due(wait_seconds=left) if left > 0 else Due(now=True, wait_seconds=patience_seconds)


def replaces(new: Plan | Rejection, in_force: Plan) -> bool:
    """Whether a plan made just now takes the place of the one in force."""
    return isinstance(new, Plan) and not new.placement.waiting and _what_runs(new) != _what_runs(in_force)


def _what_runs(plan: Plan) -> tuple[object, ...]:
    """What pods are made of, the revision apart: a branch that moved is no reason to restart a model."""
    place = plan.placement
    where = (place.gpu_product, place.gpu_resource, place.gpus_per_node, place.nodes_per_replica, place.selector)
    return (plan.model, plan.precision, plan.config, where)
