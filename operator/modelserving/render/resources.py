"""CPU, memory, disk and GPUs that the engine's container asks for."""

from typing import Any

from modelserving.api.reasons import Reason
from modelserving.planning.plan import Plan
from modelserving.planning.pod_needs import default_cpus
from modelserving.render.fragments import PodParts
from modelserving.render.problem import RenderProblem
from modelserving.units import format_gib, memory_quantity, parse_quantity, parse_whole


def resources(plan: Plan, ephemeral_bytes: int, parts: PodParts) -> dict[str, Any] | RenderProblem:
    """Write the container's resources.

    Requests are the plan's unless the user states others. There is no memory limit unless the user sets one: pinned weights and the page
    cache of mapped files count against it, and being killed for them while loading loses a model that would have run; the request keeps
    the node from being overcommitted. A limit below the plan's need is refused.
    """
    needed = {"memory": plan.memory.host_memory_bytes, "ephemeral-storage": ephemeral_bytes}
    for name, bytes_needed in needed.items():
        limit = parts.limits.get(name)
        if limit is not None and parse_whole(limit) < bytes_needed:
            return RenderProblem(
                Reason.INVALID_SPEC,
                f"spec.pod.resources.limits.{name}: {limit} is below the {format_gib(bytes_needed)} that this plan needs; "
                f"write at least {memory_quantity(bytes_needed)}, or leave it out.",
            )
    gpus = str(plan.placement.gpus_per_node)
    requests = {"cpu": str(default_cpus(plan.placement.gpus_per_node, plan.config.data_parallel_size))}
    requests |= {name: memory_quantity(amount) for name, amount in needed.items() if amount > 0}
    if "cpu" in parts.limits:
        requests["cpu"] = min(requests["cpu"], parts.limits["cpu"], key=parse_quantity)
    requests |= parts.requests
    return {
        "limits": {**parts.limits, plan.placement.gpu_resource: gpus},
        "requests": {**dict(sorted(requests.items())), plan.placement.gpu_resource: gpus},
    }
