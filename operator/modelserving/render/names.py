"""Names, labels and annotations of what the operator makes."""

import hashlib

from modelserving.api.modelserving import GROUP
from modelserving.cluster.pods import OWNER_LABEL

MANAGER = "modelserving-operator"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
PLAN_ANNOTATION = f"{GROUP}/plan"
SPEC_ANNOTATION = f"{GROUP}/spec"
RENDERED_ANNOTATION = f"{GROUP}/rendered"
# Prefixes of labels and annotations that a user may not set on the pods.
RESERVED_PREFIXES = (f"{GROUP}/", "app.kubernetes.io/")
RESERVED_LABELS = ("pod-template-hash", "controller-revision-hash")
ENGINE_COMPONENT = "engine"

# apimachinery/pkg/util/validation: DNS1035LabelMaxLength (names of Services), LabelValueMaxLength.
LONGEST_LABEL = 63
# Put before a name that does not begin with a letter, as a Service's must.
_PREFIX = "m-"
_HASH_DIGITS = 8


def workload_name(name: str) -> str:
    """Derive the name of the Deployment and the Service, an RFC 1035 label.

    Dots become dashes, a name that begins with a digit gets a prefix, one that is too long is cut and ends in its hash. Two resources may
    come to want one name (`a.b` and `a-b`); the one that came second is then told so.
    """
    text = name.replace(".", "-")
    return _shortened(name, text if text[:1].isalpha() else _PREFIX + text)


def owner_label(name: str) -> str:
    """Value of the label that says which ModelServing a pod belongs to: its name, cut and hashed beyond 63 characters."""
    return _shortened(name, name)


def selector(name: str) -> dict[str, str]:
    """Labels by which the pods of a ModelServing are found; they never change, since a Deployment's selector may not."""
    return {"app.kubernetes.io/component": ENGINE_COMPONENT, OWNER_LABEL: owner_label(name)}


def selector_text(name: str) -> str:
    """The selector as the scale subresource and `kubectl -l` take it."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector(name).items()))


def labels(name: str) -> dict[str, str]:
    """Labels of every object made for a ModelServing."""
    return {
        "app.kubernetes.io/component": ENGINE_COMPONENT,
        "app.kubernetes.io/instance": owner_label(name),
        MANAGED_BY_LABEL: MANAGER,
        "app.kubernetes.io/name": "vllm",
        OWNER_LABEL: owner_label(name),
    }


def _shortened(name: str, text: str) -> str:
    if len(text) <= LONGEST_LABEL:
        return text
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{text[: LONGEST_LABEL - _HASH_DIGITS - 1].rstrip('-.')}-{digest}"
