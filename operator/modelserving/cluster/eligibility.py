"""Which nodes a pod may go to, as the scheduler would say: readiness, selector, taints, required node affinity."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelserving.cluster.facts import NodeFacts, Taint
from modelserving.cluster.pools import NODE_NAME

# Rendered pods always bear this taint, which GPU pools commonly carry.
GPU_TAINT_KEY = "nvidia.com/gpu"
_BLOCKING_EFFECTS = ("NoSchedule", "NoExecute")


def obstacle(
    node: NodeFacts,
    node_selector: Sequence[tuple[str, str]] = (),
    tolerations: Sequence[Mapping[str, Any]] = (),
    affinity: Mapping[str, Any] | None = None,
) -> str:
    """Say what keeps a pod off a node, empty if nothing does."""
    if node.problem:
        return node.problem
    if not node.ready:
        return "node is not ready"
    if not node.schedulable:
        return "node is cordoned"
    for key, value in node_selector:
        if node.labels.get(key) != value:
            return f"label {key} is not {value}, as spec.pod.nodeSelector asks"
    for taint in node.taints:
        if taint.effect in _BLOCKING_EFFECTS and not _tolerated(taint, tolerations):
            return f"taint {taint.key}={taint.value}:{taint.effect} is not tolerated; see spec.pod.tolerations"
    if not _affinity_matches(node, affinity):
        return "required node affinity of spec.pod.affinity does not match"
    return ""


def labels_asked(
    node_selector: Sequence[tuple[str, str]] = (), affinity: Mapping[str, Any] | None = None
) -> frozenset[str]:
    """Name the node labels that `obstacle` looks at for a pod; `pools.NODE_NAME` stands for the name of the node."""
    keys = {key for key, _ in node_selector}
    for term in _terms(affinity) or ():
        keys.update(str(e.get("key")) for e in term.get("matchExpressions") or () if isinstance(e, Mapping))
        if term.get("matchFields"):
            keys.add(NODE_NAME)
    return frozenset(keys)


def _tolerated(taint: Taint, tolerations: Sequence[Mapping[str, Any]]) -> bool:
    return taint.key == GPU_TAINT_KEY or any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    effect, key = toleration.get("effect"), toleration.get("key")
    if effect and effect != taint.effect:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return not key or key == taint.key
    return key == taint.key and (toleration.get("value") or "") == taint.value


def _affinity_matches(node: NodeFacts, affinity: Mapping[str, Any] | None) -> bool:
    terms = _terms(affinity)
    return True if terms is None else any(_term_matches(node, term) for term in terms)


def _terms(affinity: Mapping[str, Any] | None) -> list[Mapping[str, Any]] | None:
    """Alternatives of which a node must meet one; None where nothing is required."""
    required = _child(_child(affinity, "nodeAffinity"), "requiredDuringSchedulingIgnoredDuringExecution")
    terms = required.get("nodeSelectorTerms") if required else None
    return [term for term in terms if isinstance(term, Mapping) and term] if isinstance(terms, list) else None


def _term_matches(node: NodeFacts, term: Mapping[str, Any]) -> bool:
    expressions = [(node.labels, e) for e in term.get("matchExpressions") or ()]
    expressions += [({NODE_NAME: node.name}, e) for e in term.get("matchFields") or ()]
    return all(isinstance(e, Mapping) and _expression_matches(labels, e) for labels, e in expressions)


def _expression_matches(labels: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    value = labels.get(str(expression.get("key")))
    values = [str(item) for item in expression.get("values") or ()]
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            try:
                left, right = int(value or ""), int(values[0])
            except (ValueError, IndexError):
                return False
            return left > right if operator == "Gt" else left < right
    return False


def _child(parent: Mapping[str, Any] | None, key: str) -> Mapping[str, Any] | None:
    child = parent.get(key) if isinstance(parent, Mapping) else None
    return child if isinstance(child, Mapping) else None
