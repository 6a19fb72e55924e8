"""Rendered against live: has anybody changed what we own, is there anything to write?

    differs   every rendered field must be in the live object; what the server added is not looked at
    digest    a field that was rendered once and is no longer is not in the comparison, but the digest beside it changed

Lists are compared as server-side apply merges them (list types of k8s.io/api 1.37): by key where they have one, otherwise in order.
Quantities are compared by value: the API server writes `1024Mi` back as `1Gi`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelserving.render.names import RENDERED_ANNOTATION
from modelserving.units import QuantityError, parse_quantity

# Field -> keys its items are told apart by.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "ownerReferences": ("uid",),
}
# `ports` of a container and of a Service have different keys.
_PORT_KEYS = (("containerPort", "protocol"), ("port", "protocol"))
# Lists the server replaces as a whole and adds nothing to: even a field more in one item is a change.
_EXACT = frozenset(
    (
        *("args", "command", "drop", "tolerations", "nodeSelectorTerms", "values"),
        *("preferredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution"),
    )
)
# Lists of a pod and its containers that are ours as a whole, whatever their items are merged by: what somebody adds goes.
_POD_SPEC = "spec"
OWNED_LISTS = ("containers", "initContainers", "volumes", "imagePullSecrets")
_OWNED_IN_CONTAINERS = ("env", "envFrom", "volumeMounts")
# Maps the server replaces as a whole: one entry more and the pods go elsewhere, or the Service finds none of them.
_EXACT_MAPS = frozenset(("selector", "nodeSelector", "matchLabels"))
# Fields the server does not store while they hold nothing (omitempty of k8s.io/api): their absence is what we render.
_ABSENT_WHEN_EMPTY = frozenset(("paused", "minReadySeconds", "nodeSelector"))
_QUANTITY_MAPS = frozenset(("limits", "requests"))
_QUANTITIES = frozenset(("sizeLimit", "divisor"))


def canonical_json(value: Any) -> str:
    """Write JSON with sorted keys and no spaces: equal values, equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def rendered_digest(manifest: Mapping[str, Any]) -> str:
    """Digest of a rendered manifest, its own digest annotation left out."""
    metadata = manifest.get("metadata", {})
    annotations = {key: value for key, value in metadata.get("annotations", {}).items() if key != RENDERED_ANNOTATION}
    bare = {**manifest, "metadata": {**metadata, "annotations": annotations}}
    return hashlib.sha256(canonical_json(bare).encode()).hexdigest()[:16]


def with_digest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Add the annotation that holds the digest."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), RENDERED_ANNOTATION: rendered_digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def differs(rendered: Mapping[str, Any], live: Mapping[str, Any]) -> list[str]:
    """List the paths of rendered fields whose live value is another; empty if there is nothing to write.

    The two are versions of one object: apiVersion and kind, which items of a LIST do not have, are not compared.
    """
    ours = {key: value for key, value in rendered.items() if key not in ("apiVersion", "kind")}
    return list(_differences(ours, live, "", "", ""))


def _differences(ours: Any, theirs: Any, path: str, name: str, parent: str) -> Iterator[str]:
    if isinstance(ours, Mapping):
        if not isinstance(theirs, Mapping):
            yield path
            return
        if name in _EXACT_MAPS and not ours.keys() >= theirs.keys():
            yield path
            return
        if name == _POD_SPEC and parent == "template":
            yield from (f"{path}.{key}" for key in OWNED_LISTS if theirs.get(key) and key not in ours)
        if parent == "containers":
            yield from (f"{path}.{key}" for key in _OWNED_IN_CONTAINERS if theirs.get(key) and key not in ours)
        for key, value in ours.items():
            # The server does not store empty texts either.
            nothing = value in ("", None) or (key in _ABSENT_WHEN_EMPTY and not value)
            if key in theirs or not nothing:
                yield from _differences(value, theirs.get(key, _Missing), f"{path}.{key}" if path else key, key, name)
    elif isinstance(ours, list):
        yield from _list_differences(ours, theirs, path, name)
    elif not _equal(ours, theirs, name, parent):
        yield path


class _Missing:
    """Stands for a field that is not there."""


def _list_differences(ours: list[Any], theirs: Any, path: str, name: str) -> Iterator[str]:
    keys = _keys(name, ours)
    if not isinstance(theirs, list) or (name in _EXACT and ours != theirs):
        yield path
    elif name in _EXACT:
        return
    elif keys:
        found = {tuple(item.get(key) for key in keys): item for item in theirs if isinstance(item, Mapping)}
        known = {tuple(item.get(key) for key in keys) for item in ours}
        if name in OWNED_LISTS or name in _OWNED_IN_CONTAINERS:
            yield from (f"{path}[{identity[0]}]" for identity in found if identity not in known)
        for item in ours:
            identity = tuple(item.get(key) for key in keys)
            label = f"{path}[{identity[0]}]"
            yield from _differences(item, found.get(identity, _Missing), label, "", name)
    elif len(ours) != len(theirs):
        yield path
    else:
        for index, (our_item, their_item) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(our_item, their_item, f"{path}[{index}]", "", name)


def _keys(name: str, items: list[Any]) -> tuple[str, ...]:
    if name != "ports":
        return _MERGE_KEYS.get(name, ())
    return next((keys for keys in _PORT_KEYS if all(keys[0] in item for item in items)), ())


def _equal(ours: Any, theirs: Any, name: str, parent: str) -> bool:
    if ours == theirs:
        return isinstance(ours, bool) == isinstance(theirs, bool)
    if parent not in _QUANTITY_MAPS and name not in _QUANTITIES:
        return False
    try:
        return parse_quantity(ours) == parse_quantity(theirs)
    except QuantityError:
        return False
