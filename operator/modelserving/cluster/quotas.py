"""ResourceQuotas: what a namespace may use, and whether that keeps pods from being made.

A quota refuses the pod, not the Deployment: nothing but an event of the ReplicaSet tells of it. So it is looked at before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelserving.cluster.room import PodNeed
from modelserving.units import QuantityError, format_gib, parse_millis, parse_whole

# Names of the same amount in `hard` (Kubernetes, "Resource Quotas"): `cpu` is `requests.cpu`.
_CPU = ("requests.cpu", "cpu")
_MEMORY = ("requests.memory", "memory")
_DISK = ("requests.ephemeral-storage", "ephemeral-storage")
_PODS = ("pods", "count/pods")
_CPU_LIMITS, _MEMORY_LIMITS, _DISK_LIMITS = ("limits.cpu",), ("limits.memory",), ("limits.ephemeral-storage",)
_IN_MILLIS = {*_CPU, *_CPU_LIMITS}
_IN_BYTES = {*_MEMORY, *_DISK, *_MEMORY_LIMITS, *_DISK_LIMITS}


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of one resource a namespace may use, and uses: millicores, bytes or pieces."""

    hard: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class Scope:
    """A condition on pods that a quota counts; operator and values matter to `PriorityClass` alone."""

    name: str
    operator: str = "Exists"
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """A ResourceQuota.

    Attributes:
        namespace: where it holds.
        name: its name.
        amounts: by the names that `hard` uses.
        scopes: it counts pods that meet all of these; empty: every pod.
    """

    namespace: str
    name: str
    amounts: Mapping[str, Amount]
    scopes: tuple[Scope, ...] = ()


@dataclass(frozen=True, slots=True)
class QuotaObstacle:
    """What a quota keeps from being made.

    Attributes:
        never: not one replica fits, whatever else ends: only a larger quota, or a smaller plan, helps.
        message: sentence with numbers.
    """

    never: bool
    message: str


def quota_of(manifest: Mapping[str, Any]) -> Quota:
    """Read a ResourceQuota manifest; amounts that are no quantities are left out, for the API server takes none."""
    metadata, spec, status = (_mapping(manifest.get(key)) for key in ("metadata", "spec", "status"))
    hard, used = _mapping(spec.get("hard")) or _mapping(status.get("hard")), _mapping(status.get("used"))
    amounts = {}
    for name in map(str, hard):
        limit = _parsed(name, hard.get(name))
        if limit is not None:
            amounts[name] = Amount(limit, _parsed(name, used.get(name)) or 0)
    return Quota(str(metadata.get("namespace", "default")), str(metadata.get("name", "")), amounts, _scopes(spec))


def quota_obstacle(
    quotas: Iterable[Quota],
    namespace: str,
    need: PodNeed,
    replicas: int,
    *,
    gpu_resource: str = "nvidia.com/gpu",
    running: int = 0,
    limits: PodNeed | None = None,
    priority_class: str = "",
) -> QuotaObstacle | None:
    """Say what keeps the replicas of a plan from being made, None if nothing does; what is for ever before what is for now.

    Args:
        quotas: of any namespaces.
        namespace: where the pods will be.
        need: requests of one pod.
        replicas: pods that are wanted.
        gpu_resource: extended resource that counts the GPUs.
        running: pods of it that the quotas count as used already.
        limits: limits of one pod, as far as it has any: what it has none of a LimitRange may set, which is not known here.
        priority_class: name of the pods' priority class.
    """
    asked = _asked(need, limits, gpu_resource)
    found: list[tuple[bool, int, str]] = []
    for quota in quotas:
        if quota.namespace != namespace or not all(_meets(scope, need, priority_class) for scope in quota.scopes):
            continue
        for name, amount in sorted(quota.amounts.items()):
            each = asked.get(name, 0)
            if each > 0 and (obstacle := _obstacle(quota, name, amount, each, replicas, running)):
                found.append(obstacle)
    if not found:
        return None
    never, _, message = min(found, key=lambda entry: (not entry[0], entry[1], entry[2]))
    return QuotaObstacle(never, message)


def _asked(need: PodNeed, limits: PodNeed | None, gpu_resource: str) -> dict[str, int]:
    asked = {f"requests.{gpu_resource}": need.gpus}
    amounts: list[tuple[tuple[str, ...], int]] = [
        (_CPU, need.cpu_millis),
        (_MEMORY, need.memory_bytes),
        (_DISK, need.ephemeral_bytes),
        (_PODS, 1),
    ]
    if limits is not None:
        amounts += [
            (_CPU_LIMITS, limits.cpu_millis),
            (_MEMORY_LIMITS, limits.memory_bytes),
            (_DISK_LIMITS, limits.ephemeral_bytes),
        ]
    return asked | {name: amount for names, amount in amounts for name in names}


def _obstacle(
    quota: Quota, name: str, amount: Amount, each: int, replicas: int, running: int
) -> tuple[bool, int, str] | None:
    """(never, replicas that fit, sentence), None if the quota has room."""
    where = f"ResourceQuota {quota.name} of namespace {quota.namespace} allows {_shown(name, amount.hard)} of {name}"
    ever = amount.hard // each
    if ever == 0:
        return True, 0, f"{where}, and one replica needs {_shown(name, each)}: it can never start there."
    missing = max(0, replicas - running)
    now = max(0, amount.hard - amount.used) // each
    if now >= missing:
        return None
    if ever < replicas:
        return False, ever, f"{where}: at most {ever} of {replicas} replicas with {_shown(name, each)} each."
    left = _shown(name, max(0, amount.hard - amount.used))
    return (
        False,
        running + now,
        f"{where}, {_shown(name, amount.used)} are used: {missing} more replicas need {_shown(name, each)} each, {left} are left now.",
    )


def _shown(name: str, amount: int) -> str:
    if name in _IN_BYTES:
        return format_gib(amount)
    return f"{amount / 1000:g}" if name in _IN_MILLIS else str(amount)


def _meets(scope: Scope, need: PodNeed, priority_class: str) -> bool:
    """Whether the pods meet a scope. What cannot be told from here is not held against them.

    They run until they are stopped and request memory, so they are neither `Terminating` nor `BestEffort`.
    """
    match scope.name:
        case "NotTerminating":
            return True
        case "NotBestEffort":
            return need.cpu_millis > 0 or need.memory_bytes > 0
        case "BestEffort":
            return need.cpu_millis == 0 and need.memory_bytes == 0
        case "PriorityClass":
            named = {
                "In": priority_class in scope.values,
                "NotIn": priority_class not in scope.values,
                "Exists": priority_class != "",
                "DoesNotExist": priority_class == "",
            }
            return named.get(scope.operator, False)
    return False


def _scopes(spec: Mapping[str, Any]) -> tuple[Scope, ...]:
    stated = [_mapping(entry) for entry in _list(_mapping(spec.get("scopeSelector")).get("matchExpressions"))]
    return (
        *(Scope(str(name)) for name in _list(spec.get("scopes"))),
        *(
            Scope(
                str(entry.get("scopeName", "")),
                str(entry.get("operator", "Exists")),
                tuple(str(value) for value in _list(entry.get("values"))),
            )
            for entry in stated
        ),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _parsed(name: str, written: Any) -> int | None:
    try:
        return (
            None if written is None else max(0, parse_millis(written) if name in _IN_MILLIS else parse_whole(written))
        )
    except QuantityError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
