from typing import Any

import pytest

from modelserving.render.pod import engine_arguments, image, pod_template
from modelserving.render.problem import RenderProblem
from modelserving.settings import Settings
from render_cases import MODEL, SETTINGS, placement, plan, serving


def _template(changes: dict[str, Any] | None = None, settings: Settings = SETTINGS, **spec: Any) -> dict[str, Any]:
    template = pod_template(serving(**spec), plan(**changes or {}), settings)
    assert isinstance(template, dict), template
    return template


def _container(template: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = template["spec"]["containers"][0]
    return container


IMAGES: dict[str, tuple[dict[str, Any], str, str]] = {
    "the operator's": ({}, "0.32.0", "vllm/vllm-openai:v0.32.0"),
    "two numbers": ({}, "0.32", "vllm/vllm-openai:v0.32.0"),
    "the user's": ({"image": "registry.example/vllm@sha256:00"}, "0.32.0", "registry.example/vllm@sha256:00"),
}


@pytest.mark.parametrize(("engine", "version", "written"), IMAGES.values(), ids=IMAGES)
def test_images(engine: dict[str, Any], version: str, written: str) -> None:
    assert image(serving(engine=engine).spec, plan(engine_version=version), SETTINGS) == written


USERS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "an image that has a user": ({}, "0.20.0", True),
    "an older one has none": ({}, "0.19.1", False),
    "an image of the user's decides itself": ({"engine": {"image": "mine:1"}}, "0.32.0", False),
    "a folder of the node belongs to root": ({"cache": {"hostPath": {"path": "/models"}}}, "0.32.0", False),
    "a claim is made writable": ({"cache": {"persistentVolumeClaim": {"claimName": "c"}}}, "0.32.0", True),
}


@pytest.mark.parametrize(("spec", "version", "has_user"), USERS.values(), ids=USERS)
def test_the_user_that_the_engine_runs_as(spec: dict[str, Any], version: str, has_user: bool) -> None:
    template = _template({"engine_version": version}, Settings(allow_host_path=True), **spec)
    context = template["spec"]["securityContext"]
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (context.get("runAsUser"), context.get("fsGroup"), context.get("runAsNonRoot")) == (
        (2000, 0, True) if has_user else (None, None, None)
    )
    assert _container(template)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_probes_wait_as_long_as_the_start_may_take() -> None:
    container = _container(_template())
    startup = container["startupProbe"]
    ready = int(next(v["value"] for v in container["env"] if v["name"] == "VLLM_ENGINE_READY_TIMEOUT_S"))
    assert startup["periodSeconds"] * startup["failureThreshold"] >= ready + 60
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["httpGet"] == {"path": "/health", "port": "http"}


def test_the_pod_may_use_its_grace_period_to_end() -> None:
    template = _template()
    pause = int(_container(template)["lifecycle"]["preStop"]["exec"]["command"][1])
    assert template["spec"]["terminationGracePeriodSeconds"] > pause + 60 + 15
    assert "--shutdown-timeout=60" in _container(template)["args"]


def test_the_pod_is_shut_off_from_what_it_does_not_need() -> None:
    pod = _template()["spec"]
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False


def test_clients_use_the_name_of_the_spec_whichever_checkpoint_serves() -> None:
    arguments = engine_arguments(serving().spec, plan(model="owner/model-AWQ"))
    assert arguments[0] == "owner/model-AWQ"
    assert f"--served-model-name={MODEL}" in arguments


def test_what_a_user_may_set_of_the_pod() -> None:
    pod = {
        "nodeSelector": {"pool": "gpu"},
        "labels": {"team": "ml"},
        "annotations": {"b": "2", "a": "1"},
        "priorityClassName": "high",
        "serviceAccountName": "puller",
        "imagePullSecrets": ["registry"],
        "volumes": [{"name": "certs", "secret": {"secretName": "certs"}}],
        "volumeMounts": [{"name": "certs", "mountPath": "/certs"}],
    }
    template = _template(
        pod=pod, huggingFace={"tokenSecretRef": {"name": "hub"}}, engine={"env": [{"name": "A", "value": "b"}]}
    )
    spec = template["spec"]
    assert template["metadata"]["labels"]["team"] == "ml"
    assert template["metadata"]["annotations"] == {"a": "1", "b": "2"}
    assert spec["nodeSelector"] == {"pool": "gpu"}
    assert spec["priorityClassName"] == "high"
    assert spec["serviceAccountName"] == "puller"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["volumes"][2:] == pod["volumes"]
    assert _container(template)["volumeMounts"][2:] == pod["volumeMounts"]
    assert _container(template)["env"][-1] == {"name": "A", "value": "b"}
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}} in _container(template)[
        "env"
    ]


def test_gpus_are_asked_for_as_text_by_the_resource_of_the_node() -> None:
    template = _template({"placement": placement(gpu_resource="nvidia.com/mig-3g.40gb", gpus_per_node=1)})
    assert _container(template)["resources"]["limits"] == {"nvidia.com/mig-3g.40gb": "1"}


def test_words_of_the_plan_and_the_number_of_replicas_do_not_roll_pods() -> None:
    worded = {"decision": "other words", "notes": ("x",), "rejected": (), "alternatives": (), "request_digest": "other"}
    assert _template(worded, replicas=7) == _template()
    assert _template({"placement": placement(free_now=0, waiting="Waits.")}) == _template()


PROBLEMS: dict[str, tuple[dict[str, Any], str]] = {
    "a fragment": ({"pod": {"tolerations": [{"key": 3}]}}, "spec.pod.tolerations[0].key"),
    "the cache": ({"cache": {"emptyDir": {"sizeLimit": "1Gi"}}}, "spec.cache.emptyDir.sizeLimit"),
    "a limit": ({"pod": {"resources": {"limits": {"memory": "1Gi"}}}}, "spec.pod.resources.limits.memory"),
}


@pytest.mark.parametrize(("spec", "part"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems_are_passed_on(spec: dict[str, Any], part: str) -> None:
    problem = pod_template(serving(**spec), plan(), SETTINGS)
    assert isinstance(problem, RenderProblem)
    assert part in problem.message
