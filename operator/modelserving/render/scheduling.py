"""Where the pods may go: the user's wishes, and the GPU product that the plan was made for."""

from collections.abc import Sequence
from typing import Any

from modelserving.cluster.eligibility import GPU_TAINT_KEY

GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# GPU pools commonly carry this taint, whatever its value and effect; planning counts on its being borne.
_GPU_TOLERATION: dict[str, Any] = {"key": GPU_TAINT_KEY, "operator": "Exists"}


def tolerations(theirs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the toleration of GPU nodes before the user's."""
    return [dict(_GPU_TOLERATION), *(toleration for toleration in theirs if toleration != _GPU_TOLERATION)]


def affinity(theirs: dict[str, Any], gpu_product: str, selector: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """Demand the plan's GPU product on top of the user's affinity.

    The terms of a node selector are alternatives, so every one of them gets the demand.
    """
    node_affinity: dict[str, Any] = theirs.get("nodeAffinity", {})
    terms: list[dict[str, Any]] = node_affinity.get(_REQUIRED, {}).get("nodeSelectorTerms") or [{}]
    asked = selector or ((GPU_PRODUCT_LABEL, gpu_product),)
    merged = [
        {**term, "matchExpressions": [*term.get("matchExpressions", ()), *(_demand(*label) for label in asked)]}
        for term in terms
    ]
    return {**theirs, "nodeAffinity": {**node_affinity, _REQUIRED: {"nodeSelectorTerms": merged}}}


def _demand(label: str, value: str) -> dict[str, Any]:
    return {"key": label, "operator": "In", "values": [value]}
