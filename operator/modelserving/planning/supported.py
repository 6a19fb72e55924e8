"""Fields the API has and this version does not act on yet: refused by name, never ignored."""

from modelserving.api.modelserving import ModelServingSpec
from modelserving.api.reasons import Reason
from modelserving.planning.plan import Rejection


def unsupported(spec: ModelServingSpec, allow_host_path: bool) -> Rejection | None:
    """Refuse what this version or this operator's settings cannot honour, naming every such field."""
    sentences = []
    if spec.model.startswith("pvc://"):
        sentences.append("spec.model: models on a volume (pvc://…) are not read yet; use a Hub id")
    if any(variant.model.startswith("pvc://") for variant in spec.variants):
        sentences.append("spec.variants: models on a volume (pvc://…) are not read yet; use a Hub id")
    if sentences:
        return Rejection(
            Reason.NOT_YET_SUPPORTED.value,
            "Not supported by this version of the operator: " + "; ".join(sentences) + ".",
        )
    if spec.cache.host_path is not None and not allow_host_path:
        return Rejection(
            Reason.NOT_ALLOWED.value,
            "spec.cache.hostPath: this operator's settings do not allow folders of the node (MODELSERVING_ALLOW_HOST_PATH); "
            "use spec.cache.persistentVolumeClaim or spec.cache.emptyDir.",
        )
    return None
