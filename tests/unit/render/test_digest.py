"""Live objects are made here from rendered ones as the API server changes them; the real API server is in tests/cluster."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from modelserving.render.digest import canonical_json, differs, rendered_digest
from modelserving.render.manifests import RenderProblem, render
from render_cases import SETTINGS, plan, serving

POD = {
    "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}],
    "volumes": [{"name": "x", "emptyDir": {}}, {"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}]}}],
    "volumeMounts": [{"name": "x", "mountPath": "/x"}],
    "imagePullSecrets": ["registry"],
    "nodeSelector": {"pool": "gpu"},
}


def _rendered() -> tuple[dict[str, Any], dict[str, Any]]:
    rendered = render(serving(pod=POD, engine={"env": [{"name": "A"}]}), plan(), SETTINGS)
    assert not isinstance(rendered, RenderProblem)
    return rendered[0], rendered[1]


def _live(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the API server makes of it: defaults, canonical quantities, metadata and status of its own."""
    live = copy.deepcopy(manifest)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 1, "managedFields": [{}]}
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    live["status"] = {"replicas": 1}
    if manifest["kind"] == "Service":
        live["spec"] |= {"clusterIP": "10.0.0.1", "sessionAffinity": "None", "ipFamilies": ["IPv4"]}
        return live
    pod = live["spec"]["template"]["spec"]
    pod |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler"}
    container = pod["containers"][0]
    container |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
    container["startupProbe"] |= {"successThreshold": 1}
    container["startupProbe"]["httpGet"]["scheme"] = "HTTP"
    container["resources"]["requests"]["memory"] = "14336Mi"
    pod["volumes"][1]["emptyDir"]["sizeLimit"] = "3072Mi"
    pod["volumes"][3]["projected"]["defaultMode"] = 420
    return live


ADDED: dict[str, tuple[Any, str]] = {
    "a container": (
        lambda pod: pod["containers"].append({"name": "sidecar", "image": "x"}),
        "spec.template.spec.containers[sidecar]",
    ),
    "the first init container": (
        lambda pod: pod.update(initContainers=[{"name": "init", "image": "x"}]),
        "spec.template.spec.initContainers",
    ),
    "a variable": (
        lambda pod: pod["containers"][0]["env"].insert(0, {"name": "ADDED", "value": "1"}),
        "spec.template.spec.containers[vllm].env[ADDED]",
    ),
    "variables from a Secret": (
        lambda pod: pod["containers"][0].update(envFrom=[{"secretRef": {"name": "s"}}]),
        "spec.template.spec.containers[vllm].envFrom",
    ),
    "a volume": (
        lambda pod: pod["volumes"].append({"name": "more", "emptyDir": {}}),
        "spec.template.spec.volumes[more]",
    ),
    "a mount": (
        lambda pod: pod["containers"][0]["volumeMounts"].append({"name": "x", "mountPath": "/more"}),
        "spec.template.spec.containers[vllm].volumeMounts[/more]",
    ),
    "a pull secret": (
        lambda pod: pod["imagePullSecrets"].append({"name": "more"}),
        "spec.template.spec.imagePullSecrets[more]",
    ),
}


@pytest.mark.parametrize("name", ADDED)
def test_what_somebody_adds_to_a_list_of_ours_is_seen(name: str) -> None:
    add, path = ADDED[name]
    rendered = _rendered()[0]
    live = _live(rendered)
    add(live["spec"]["template"]["spec"])
    assert differs(rendered, live) == [path]


@pytest.mark.parametrize("which", [0, 1], ids=["Deployment", "Service"])
def test_what_the_server_adds_is_no_difference(which: int) -> None:
    rendered = _rendered()[which]
    assert differs(rendered, rendered) == []
    assert differs(rendered, _live(rendered)) == []


def test_items_of_a_list_have_no_kind() -> None:
    rendered = _rendered()[0]
    live = {key: value for key, value in _live(rendered).items() if key not in ("apiVersion", "kind")}
    assert differs(rendered, live) == []


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    empty = True
    for key, item in items:
        empty = False
        yield from _leaves(item, (*path, key))
    if empty:
        yield path


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


OWNED = [(which, path) for which in (0, 1) for path in _leaves(_rendered()[which]) if path[0] in ("metadata", "spec")]


@pytest.mark.parametrize(
    ("which", "path"), OWNED, ids=lambda part: ".".join(map(str, part)) if isinstance(part, tuple) else None
)
def test_every_owned_field_that_changes_or_goes_is_seen(which: int, path: tuple[Any, ...]) -> None:
    rendered = _rendered()[which]
    ours = _at(rendered, path)
    changed = ours + "x" if isinstance(ours, str) else (not ours) if isinstance(ours, bool) else 77 if ours != {} else 3
    live = _live(rendered)
    *parents, last = path
    holder = _at(live, tuple(parents))
    kept = holder[last]
    holder[last] = changed
    assert differs(rendered, live) != []
    holder[last] = kept
    assert differs(rendered, live) == []
    del holder[last]
    # Of these the server stores nothing where they are at their default.
    omitted = path in {("spec", "paused"), ("spec", "minReadySeconds")}
    assert (differs(rendered, live) == []) is omitted


CHANGES: dict[str, tuple[str, Any, str]] = {
    "an argument more": ("args", lambda c: c["args"].append("--seed=1"), "spec.template.spec.containers[vllm].args"),
    "an argument less": ("args", lambda c: c["args"].pop(), "spec.template.spec.containers[vllm].args"),
    "another GPU count": (
        "gpu",
        lambda c: c["resources"]["limits"].update({"nvidia.com/gpu": "8"}),
        "spec.template.spec.containers[vllm].resources.limits.nvidia.com/gpu",
    ),
    "a quantity that is none": (
        "cpu",
        lambda c: c["resources"]["requests"].update({"cpu": "lots"}),
        "spec.template.spec.containers[vllm].resources.requests.cpu",
    ),
    "a variable gone": (
        "env",
        lambda c: c.update(env=[v for v in c["env"] if v["name"] != "HOME"]),
        "spec.template.spec.containers[vllm].env[HOME]",
    ),
    "a list that is none": ("env", lambda c: c.update(env=None), "spec.template.spec.containers[vllm].env"),
    "a map that is none": (
        "lifecycle",
        lambda c: c.update(lifecycle=None),
        "spec.template.spec.containers[vllm].lifecycle",
    ),
    "a port of another kind": (
        "ports",
        lambda c: c["ports"][0].update(protocol="UDP"),
        "spec.template.spec.containers[vllm].ports[8000]",
    ),
}


@pytest.mark.parametrize(("change", "path"), [(c, p) for _, c, p in CHANGES.values()], ids=CHANGES)
def test_differences_are_named_by_their_path(change: Any, path: str) -> None:
    rendered = _rendered()[0]
    live = _live(rendered)
    change(live["spec"]["template"]["spec"]["containers"][0])
    assert differs(rendered, live) == [path]


def test_a_field_more_in_a_list_that_is_replaced_as_a_whole_is_seen() -> None:
    rendered = _rendered()[0]
    live = _live(rendered)
    live["spec"]["template"]["spec"]["tolerations"][0]["effect"] = "NoSchedule"
    assert differs(rendered, live) == ["spec.template.spec.tolerations"]


def test_a_source_more_in_a_list_without_keys_is_seen() -> None:
    rendered = _rendered()[0]
    live = _live(rendered)
    live["spec"]["template"]["spec"]["volumes"][3]["projected"]["sources"].append({"configMap": {"name": "x"}})
    assert differs(rendered, live) == ["spec.template.spec.volumes[p].projected.sources"]


def test_the_order_of_variables_and_volumes_is_the_servers() -> None:
    rendered = _rendered()[0]
    live = _live(rendered)
    pod = live["spec"]["template"]["spec"]
    pod["volumes"].reverse()
    pod["containers"].reverse()
    pod["containers"][-1]["env"].reverse()
    assert differs(rendered, live) == []


def test_a_field_that_is_no_longer_rendered_is_seen_by_the_digest() -> None:
    before = _rendered()[0]
    after = render(serving(), plan(), SETTINGS)
    assert not isinstance(after, RenderProblem)
    assert "metadata.annotations.modelserving.dev/rendered" in differs(after[0], _live(before))


def test_an_empty_text_is_as_good_as_left_out() -> None:
    assert differs({"spec": {"a": "", "b": None}}, {"spec": {}}) == []
    assert differs({"spec": {"a": "", "b": {}}}, {"spec": {}}) == ["spec.b"]


def test_the_digest_hangs_on_content_and_not_on_order_or_on_itself() -> None:
    rendered = _rendered()[0]
    assert rendered_digest(dict(reversed(rendered.items()))) == rendered_digest(rendered)
    other = {**rendered, "spec": {**rendered["spec"], "replicas": 9}}
    assert rendered_digest(other) != rendered_digest(rendered)
    assert rendered_digest({"kind": "X"}) == rendered_digest({"kind": "X", "metadata": {"annotations": {}}})


def test_canonical_json_keeps_letters_as_they_are() -> None:
    assert canonical_json({"b": "×", "a": [1]}) == '{"a":[1],"b":"×"}'


@pytest.mark.parametrize(
    ("which", "path", "added"),
    [
        (1, ("spec", "selector"), {"a": "b"}),
        (0, ("spec", "template", "spec", "nodeSelector"), {"x": "y"}),
        (0, ("spec", "paused"), True),
        (0, ("spec", "minReadySeconds"), 30),
    ],
)
def test_what_is_added_to_a_map_that_is_ours_as_a_whole_is_seen(which: int, path: tuple[str, ...], added: Any) -> None:
    live = _live(_rendered()[which])
    *parents, last = path
    place = live
    for name in parents:
        place = place[name]
    place[last] = {**place[last], **added} if isinstance(added, dict) else added
    assert differs(_rendered()[which], live) == [".".join(path)]


def test_what_the_server_leaves_out_while_it_holds_nothing_is_no_difference() -> None:
    live = _live(_rendered()[0])
    del live["spec"]["paused"], live["spec"]["minReadySeconds"]
    rendered = _rendered()[0]
    rendered["spec"]["template"]["spec"]["nodeSelector"] = {}
    del live["spec"]["template"]["spec"]["nodeSelector"]
    assert differs(rendered, live) == []
