"""The pod that runs one replica of the engine."""

from typing import Any

from modelserving.api.modelserving import ModelServing, ModelServingSpec
from modelserving.engine.flags import PORT, arguments
from modelserving.planning.plan import Plan
from modelserving.render import scheduling
from modelserving.render.environment import environment
from modelserving.render.fragments import PodParts, read_fragments
from modelserving.render.names import labels
from modelserving.render.problem import RenderProblem
from modelserving.render.resources import resources
from modelserving.render.storage import Storage, mounts, storage
from modelserving.render.timing import PRE_STOP_SECONDS, STARTUP_PERIOD_SECONDS, Timing, timing
from modelserving.settings import Settings
from modelserving.units import ceil_div

CONTAINER = "vllm"
PORT_NAME = "http"
# vllm/vllm-openai is prepared for this user and group 0 since PR #40275, after 0.19.1 (docs/deployment/docker.md).
_IMAGE_USER = 2000
_USER_SINCE = (0, 20)


def engine_arguments(spec: ModelServingSpec, plan: Plan) -> tuple[str, ...]:
    """Arguments of `vllm serve` for a plan, the user's own at the end.

    Clients ask for the model by the name in the spec, whichever of its checkpoints is served.
    """
    return arguments(
        model=plan.model,
        revision=plan.revision,
        served_model_name=spec.model,
        config=plan.config,
        engine_version=plan.engine_version,
        extra_args=spec.engine.extra_args,
    )


def pod_template(serving: ModelServing, plan: Plan, settings: Settings) -> dict[str, Any] | RenderProblem:
    """Write the pod template. Whatever is in it rolls the pods when it changes, so only what changes the engine is."""
    spec = serving.spec
    parts = read_fragments(spec, settings.allow_host_path)
    if isinstance(parts, RenderProblem):
        return parts
    stored = storage(spec.cache, plan.checkpoint_bytes, plan.placement.gpus_per_node, settings.allow_host_path)
    if isinstance(stored, RenderProblem):
        return stored
    times = timing(plan.checkpoint_bytes, plan.engine_version)
    container = _container(spec, plan, settings, parts, stored, times)
    if isinstance(container, RenderProblem):
        return container
    metadata: dict[str, Any] = {"labels": {**spec.pod.labels, **labels(serving.metadata.name)}}
    if spec.pod.annotations:
        metadata["annotations"] = dict(sorted(spec.pod.annotations.items()))
    return {"metadata": metadata, "spec": _pod_spec(spec, plan, parts, stored, times, container)}


def _pod_spec(
    spec: ModelServingSpec,
    plan: Plan,
    parts: PodParts,
    stored: Storage,
    times: Timing,
    container: dict[str, Any],
) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "affinity": scheduling.affinity(parts.affinity, plan.placement.gpu_product),
        "nodeSelector": dict(sorted(spec.pod.node_selector.items())),
        # The engine needs no access to the API server.
        "automountServiceAccountToken": False,
        "containers": [container],
        # A Service called vllm would set VLLM_PORT to an address, and vLLM refuses to start with that.
        "enableServiceLinks": False,
        "securityContext": _security(spec, plan, stored),
        "terminationGracePeriodSeconds": times.grace,
        "tolerations": scheduling.tolerations(parts.tolerations),
        "volumes": [*stored.volumes, *parts.volumes],
    }
    if spec.pod.priority_class_name:
        pod["priorityClassName"] = spec.pod.priority_class_name
    if spec.pod.service_account_name:
        pod["serviceAccountName"] = spec.pod.service_account_name
    if spec.pod.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in dict.fromkeys(spec.pod.image_pull_secrets)]
    return pod


def _container(
    spec: ModelServingSpec, plan: Plan, settings: Settings, parts: PodParts, stored: Storage, times: Timing
) -> dict[str, Any] | RenderProblem:
    asked = resources(plan, stored.ephemeral_bytes, parts)
    if isinstance(asked, RenderProblem):
        return asked
    return {
        "name": CONTAINER,
        "image": image(spec, plan, settings),
        # The image's entry point changed between versions; this command is the same in all.
        "command": ["vllm", "serve"],
        "args": list(engine_arguments(spec, plan)),
        "env": environment(times, spec.hugging_face.token_secret_ref, settings.hub_endpoint, parts.env),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(PRE_STOP_SECONDS)]}}},
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        "resources": asked,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        # The end of the log goes into the pod's status: it says why the engine ended (render.troubles).
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*mounts(), *parts.volume_mounts],
        **_probes(times),
    }


def _probes(times: Timing) -> dict[str, Any]:
    """Probe /health: closed while loading, 200 while serving, 503 once the engine is dead. It does not run the model."""
    return {
        "startupProbe": _probe(STARTUP_PERIOD_SECONDS, ceil_div(times.startup, STARTUP_PERIOD_SECONDS)),
        "readinessProbe": _probe(5, 3),
        # A minute of silence: long prefills and busy nodes slow the answer without anything being broken.
        "livenessProbe": _probe(10, 6),
    }


def _probe(period_seconds: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/health", "port": PORT_NAME},
        "periodSeconds": period_seconds,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
    }


def image(spec: ModelServingSpec, plan: Plan, settings: Settings) -> str:
    """Container image: the user's, or the operator's repository with the tag of the version (releases have three numbers)."""
    if spec.engine.image:
        return spec.engine.image
    version = plan.engine_version.removeprefix("v")
    return f"{settings.engine_image}:v{version}{'.0' if version.count('.') == 1 else ''}"


def _security(spec: ModelServingSpec, plan: Plan, stored: Storage) -> dict[str, Any]:
    """Run as the image's own user where it has one.

    An image of the user's decides for itself, and a folder of the node belongs to root, which no fsGroup changes.
    """
    context: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    if spec.engine.image or stored.on_node_path or not _has_user(plan.engine_version):
        return context
    return {
        **context,
        "fsGroup": 0,
        # A claim full of weights is not walked through at every start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "runAsGroup": 0,
        "runAsNonRoot": True,
        "runAsUser": _IMAGE_USER,
    }


def _has_user(engine_version: str) -> bool:
    major, minor, *_ = (*engine_version.removeprefix("v").split("."), "0")
    return major.isdecimal() and minor.isdecimal() and (int(major), int(minor)) >= _USER_SINCE
