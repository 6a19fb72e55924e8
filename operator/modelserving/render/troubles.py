"""What keeps a pod of ours from answering, as its own status tells: one reason, one sentence, and what to do.

    not bound, the scheduler found no node         ─▶ PodUnschedulable
    image cannot be pulled                         ─▶ ImagePullFailed
    container cannot be made (Secret, mount)       ─▶ PodConfigInvalid
    ended, and not ready since                     ─▶ OutOfHostMemory | EngineFailed, with the line that says why
    starting, loading                              ─▶ no trouble

Sentences hold nothing that changes by itself (counts of restarts, back-off times): a pod that fails again and again is told once.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelserving.api.reasons import Reason

# Waiting reasons of a container: kubernetes/pkg/kubelet/images/types.go and pkg/kubelet/kuberuntime/kuberuntime_container.go.
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_OUT_OF_MEMORY = "OOMKilled"
LONGEST_CAUSE = 400
# What vLLM logs last, whatever the cause (v1/engine/core_client.py): the cause stands above it.
_USELESS = "See root cause above"
# `(EngineCore pid=12) ERROR 11-25 10:00:00 [core.py:886] ` before what matters.
_PREFIX = re.compile(
    r"^\s*(\([\w ]+pid=\d+\)\s*)?(ERROR|WARNING|INFO)?\s*(\d\d-\d\d \d\d:\d\d:\d\d)?\s*(\[[\w./]+:\d+\])?\s*"
)
_ERROR = re.compile(r"\b\w*(Error|Exception)\b: \S")
# Words in a cause, and what to do about it: sentences of vLLM 0.32 (v1/worker/utils.py, v1/core/kv_cache_utils.py) and PyTorch.
_HINTS = (
    (
        "less than desired GPU memory utilization",
        "something else holds memory of this GPU: look for a process that is left over, or lower spec.gpu.memoryUtilization",
    ),
    (
        "out of memory",
        "report this with status.plan: the plan took too little; spec.gpu.memoryUtilization or fewer tokens help",
    ),
    ("KV cache is needed", "lower spec.contextLength, or report this with status.plan: the plan took too little"),
    ("No available memory for the cache blocks", "lower spec.contextLength, or report this with status.plan"),
    ("gated repo", "name a Secret with a token that may read the model in spec.huggingFace.tokenSecretRef"),
    ("No space left on device", "give the weights more room: spec.cache"),
)


@dataclass(frozen=True, slots=True, order=True)
class Trouble:
    """What keeps a pod from answering.

    Attributes:
        reason: from api.reasons.
        message: a sentence without its full stop.
        since: when it began, RFC 3339; empty where it is told at once.
    """

    reason: str
    message: str
    since: str = ""


def trouble_of(pod: Mapping[str, Any]) -> Trouble | None:
    """Read a pod; None where nothing is wrong with it."""
    metadata, status = _mapping(pod.get("metadata")), _mapping(pod.get("status"))
    name = str(metadata.get("name", ""))
    if "deletionTimestamp" in metadata:
        return None
    if not _mapping(pod.get("spec")).get("nodeName"):
        return _unscheduled(name, status)
    found = (_of_container(name, container) for container in _containers(status))
    return next((trouble for trouble in found if trouble is not None), None)


def root_cause(log: str) -> str:
    """Find the line of a log's end that says why the engine ended: the first error, not the last."""
    lines = [_PREFIX.sub("", line).strip() for line in log.splitlines()]
    lines = [line for line in lines if line and _USELESS not in line]
    errors = [line for line in lines if _ERROR.search(line)]
    cause = errors[0] if errors else (lines[-1] if lines else "")
    return cause if len(cause) <= LONGEST_CAUSE else f"{cause[: LONGEST_CAUSE - 1]}…"


def _unscheduled(name: str, status: Mapping[str, Any]) -> Trouble | None:
    for condition in _items(status.get("conditions")):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            said = str(condition.get("message", "")).strip().rstrip(".")
            message = (
                f"the scheduler finds no node for pod {name}: {said or condition.get('reason', 'no reason given')}"
            )
            return Trouble(Reason.POD_UNSCHEDULABLE, message, str(condition.get("lastTransitionTime", "")))
    return None


def _containers(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from _items(status.get("initContainerStatuses"))
    yield from _items(status.get("containerStatuses"))


def _of_container(pod: str, container: Mapping[str, Any]) -> Trouble | None:
    state = _mapping(container.get("state"))
    waiting = _mapping(state.get("waiting"))
    reason = waiting.get("reason")
    if reason in _IMAGE:
        image = container.get("image", "")
        message = (
            f"the image {image} cannot be pulled for pod {pod}: check spec.engine.image, spec.engine.version and "
            "spec.pod.imagePullSecrets"
        )
        return Trouble(Reason.IMAGE_PULL_FAILED, message)
    if reason in _CONFIG:
        return Trouble(Reason.POD_CONFIG_INVALID, f"pod {pod} cannot be started: {waiting.get('message') or reason}")
    ended = _mapping(state.get("terminated")) or _mapping(_mapping(container.get("lastState")).get("terminated"))
    # Once its start-up probe has passed, an earlier end explains nothing any more.
    started = container.get("started") is True and not _mapping(state.get("terminated"))
    if not ended or started or container.get("ready") is True:
        return None
    return _ended(pod, ended)


def _ended(pod: str, ended: Mapping[str, Any]) -> Trouble | None:
    code = ended.get("exitCode")
    if ended.get("reason") == _OUT_OF_MEMORY:
        message = (
            f"the engine of pod {pod} was killed for using more host memory than it may: raise or leave out "
            "spec.pod.resources.limits.memory, or raise spec.pod.resources.requests.memory where the node ran out"
        )
        return Trouble(Reason.OUT_OF_HOST_MEMORY, message)
    if code == 0:
        return None
    cause = root_cause(str(ended.get("message") or ""))
    hint = next((advice for words, advice in _HINTS if words in cause), "")
    told = "; ".join(part for part in (cause, hint) if part) or f"see `kubectl logs --previous {pod}`"
    return Trouble(Reason.ENGINE_FAILED, f"the engine of pod {pod} ended with exit code {code}: {told}")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
