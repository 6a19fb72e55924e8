"""Every reason a condition or an event may carry, in one list."""

from enum import StrEnum


class ConditionType(StrEnum):
    """Conditions of a ModelServing."""

    PLANNED = "Planned"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"


class Reason(StrEnum):
    """Reasons the operator itself gives. Engine refusals and metadata failures bring their own, equally in CamelCase."""

    # Planned=True
    PLAN_FITS = "PlanFits"
    PLAN_WAITS = "PlanWaitsForFreeGPUs"
    # Planned=False
    INVALID_SPEC = "InvalidSpec"
    NOT_YET_SUPPORTED = "NotYetSupported"
    FLAG_OWNED = "FlagOwnedByOperator"
    FLAG_UNKNOWN = "FlagUnknown"
    FLAG_MALFORMED = "FlagMalformed"
    READING_FACTS = "ReadingModelFacts"
    NO_GPU_NODES = "NoGPUNodes"
    NOTHING_FITS = "InsufficientGPUMemory"
    VARIANT_NEEDED = "VariantNeeded"
    NODES_TOO_SMALL = "NodesTooSmall"
    OVER_QUOTA = "QuotaExceeded"
    NOT_ALLOWED = "NotAllowedBySettings"
    NAME_CONFLICT = "NameConflict"
    APPLY_REFUSED = "ApplyRefused"
    RECONCILE_ERROR = "ReconcileError"
    # Available, Progressing, Degraded
    PODS_READY = "PodsReady"
    PODS_NOT_READY = "PodsNotReady"
    SCALED_TO_ZERO = "ScaledToZero"
    NO_WORKLOAD = "NoWorkload"
    PLAN_ONLY = "PlanOnly"
    ROLLING_OUT = "RollingOut"
    ROLLED_OUT = "RolledOut"
    STALLED = "RolloutStalled"
    HEALTHY = "Healthy"
    NODES_CHANGED = "NodesChanged"
    SPEC_NOT_APPLIED = "SpecNotApplied"
    CONTESTED = "Contested"
    # What keeps pods from answering
    PODS_NOT_CREATED = "PodsNotCreated"
    POD_UNSCHEDULABLE = "PodUnschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    POD_CONFIG_INVALID = "PodConfigInvalid"
    OUT_OF_HOST_MEMORY = "OutOfHostMemory"
    ENGINE_FAILED = "EngineFailed"
