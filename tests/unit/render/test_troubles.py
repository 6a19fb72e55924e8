"""What a pod's own status says of why it does not answer; statuses as kubelet and scheduler of Kubernetes 1.37 write them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.render.troubles import LONGEST_CAUSE, root_cause, trouble_of

# The end of a log of vLLM 0.32 that found too little memory for the KV cache, cut as kubelet cuts it.
LOG = """(EngineCore pid=77) ERROR 11-25 10:00:01 [core.py:1021] EngineCore failed to start.
(EngineCore pid=77) ERROR 11-25 10:00:01 [core.py:1021] Traceback (most recent call last):
(EngineCore pid=77) ERROR 11-25 10:00:01 [core.py:1021] ValueError: To serve at least one request with the model's max seq len \
(2048), (0.0 GiB KV cache is needed, which is larger than the available KV cache memory (0.0 GiB).
Traceback (most recent call last):
  File "/usr/local/bin/vllm", line 8, in <module>
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""


def pod(container: dict[str, Any] | None = None, node: str = "n1", **status: Any) -> dict[str, Any]:
    statuses = [{"name": "vllm", "image": "vllm/vllm-openai:v0.32.0", "ready": False, **container}] if container else []
    return {
        "metadata": {"name": "llava-7d9-x", "namespace": "ns"},
        "spec": {"nodeName": node} if node else {},
        "status": {"containerStatuses": statuses, **status},
    }


def ended(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    "lastTransitionTime": "2026-11-25T10:00:00Z",
}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}

TROUBLES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no node": (
        pod(node="", conditions=[UNSCHEDULABLE]),
        "PodUnschedulable",
        "the scheduler finds no node for pod llava-7d9-x: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu",
    ),
    "no image": (
        pod({"state": {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}}),
        "ImagePullFailed",
        "vllm/vllm-openai:v0.32.0 cannot be pulled",
    ),
    "no image, waiting to try again": (
        pod({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}}),
        "ImagePullFailed",
        "spec.pod.imagePullSecrets",
    ),
    "no Secret": (
        pod({"state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "hf" not found'}}}),
        "PodConfigInvalid",
        'secret "hf" not found',
    ),
    "out of host memory": (
        pod({"state": BACK_OFF, "lastState": ended(137, "OOMKilled")}),
        "OutOfHostMemory",
        "spec.pod.resources.limits.memory",
    ),
    "ended, waiting to start again": (
        pod({"state": BACK_OFF, "lastState": ended(1, message=LOG)}),
        "EngineFailed",
        "exit code 1: ValueError: To serve at least one request",
    ),
    "ended just now": (pod({"state": ended(1, message=LOG)}), "EngineFailed", "lower spec.contextLength"),
    "ended, loading again": (
        pod({"state": {"running": {}}, "started": False, "lastState": ended(1, message=LOG)}),
        "EngineFailed",
        "ValueError",
    ),
    "ended without a word": (
        pod({"state": BACK_OFF, "lastState": ended(2)}),
        "EngineFailed",
        "kubectl logs --previous llava-7d9-x",
    ),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_has_a_reason_and_says_what_to_do(name: str) -> None:
    manifest, reason, said = TROUBLES[name]
    trouble = trouble_of(manifest)
    assert trouble is not None
    assert trouble.reason == reason
    assert said in trouble.message


NONE: dict[str, dict[str, Any]] = {
    "not looked at by the scheduler yet": pod(node=""),
    "its image is pulled": pod({"state": {"waiting": {"reason": "ContainerCreating"}}}),
    "it loads": pod({"state": {"running": {}}, "started": False}),
    "it answers": pod({"state": {"running": {}}, "ready": True, "started": True}),
    "it answers, after it ended once": pod({"state": {"running": {}}, "ready": True, "lastState": ended(1)}),
    "it answered until now, days after it ended once": pod(
        {"state": {"running": {}}, "started": True, "lastState": ended(1)}
    ),
    "it ended as asked": pod({"state": ended(0, "Completed")}),
}


@pytest.mark.parametrize("name", NONE)
def test_what_passes_by_itself_is_no_trouble(name: str) -> None:
    assert trouble_of(NONE[name]) is None


def test_a_pod_that_is_going_is_no_trouble() -> None:
    going = pod({"state": BACK_OFF, "lastState": ended(1)})
    going["metadata"]["deletionTimestamp"] = "2026-11-25T10:00:00Z"
    assert trouble_of(going) is None


def test_failing_again_and_again_is_told_in_the_same_words() -> None:
    states = [BACK_OFF, {"running": {}}, ended(1, message=LOG)]
    told = {
        trouble_of(pod({"state": state, "started": False, "restartCount": count, "lastState": ended(1, message=LOG)}))
        for count, state in enumerate(states)
    }
    assert len(told) == 1


def test_the_cause_is_the_first_error_and_not_the_last() -> None:
    cause = root_cause(LOG)
    assert cause.startswith("ValueError: To serve at least one request")
    assert "See root cause above" not in cause
    assert root_cause("") == ""
    assert root_cause("nothing but this") == "nothing but this"


@given(st.text())
def test_any_log_has_a_cause_of_bounded_length(log: str) -> None:
    assert len(root_cause(log)) <= LONGEST_CAUSE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
)


@given(st.fixed_dictionaries({}, optional={"metadata": JSON, "spec": JSON, "status": JSON}))
def test_any_status_can_be_read(manifest: dict[str, Any]) -> None:
    trouble_of(manifest)
