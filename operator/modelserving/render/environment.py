"""Environment variables of the engine."""

from collections.abc import Sequence
from typing import Any

from modelserving.api.modelserving import SecretKeyRef
from modelserving.api.volume_types import CACHE_PATH
from modelserving.render.timing import Timing

_CACHES = {
    "HF_HOME": f"{CACHE_PATH}/huggingface",
    "HOME": CACHE_PATH,
    "TRITON_CACHE_DIR": f"{CACHE_PATH}/triton",
    "VLLM_CACHE_ROOT": f"{CACHE_PATH}/vllm",
}
# Nothing is told to anybody unless the user wants it.
_QUIET = {"DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1"}

_CACHE_HINT = "caches live on the volume of spec.cache"
_TOKEN_HINT = "use spec.huggingFace.tokenSecretRef"
_GPU_HINT = "the device plugin says which GPUs the pod sees"
_SIZE_HINT = "it changes the memory that the plan was made from"
_ADDRESS_HINT = "vLLM uses it between its own processes"
# Name -> what to do instead. Sources: vLLM 0.32 envs.py, huggingface_hub constants.py.
RESERVED: dict[str, str] = {
    **dict.fromkeys((*_CACHES, "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"), _CACHE_HINT),
    "HF_TOKEN": _TOKEN_HINT,
    "HUGGING_FACE_HUB_TOKEN": _TOKEN_HINT,
    "HF_TOKEN_PATH": _TOKEN_HINT,
    "CUDA_VISIBLE_DEVICES": _GPU_HINT,
    "NVIDIA_VISIBLE_DEVICES": _GPU_HINT,
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN": "the plan keeps within the model's own context length",
    "VLLM_ENABLE_STARTUP_PLAN": _SIZE_HINT,
    "VLLM_ENGINE_READY_TIMEOUT_S": "it goes with the start-up probe",
    "VLLM_HOST_IP": _ADDRESS_HINT,
    "VLLM_PORT": _ADDRESS_HINT,
    "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS": _SIZE_HINT,
    "VLLM_PP_LAYER_PARTITION": _SIZE_HINT,
    "VLLM_USE_MODELSCOPE": "weights come from where the plan's facts came from",
    "VLLM_WEIGHT_OFFLOADING_DISABLE_PIN_MEMORY": _SIZE_HINT,
    "VLLM_WEIGHT_OFFLOADING_DISABLE_UVA": _SIZE_HINT,
}


def environment(
    timing: Timing, token: SecretKeyRef | None, hub_endpoint: str, theirs: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """List the variables: the operator's by name, then the user's in their order, which may override what is only a default.

    Args:
        timing: how long the engine may take to start.
        token: where the Hub token is.
        hub_endpoint: mirror of the Hub that the operator itself asks; the engine downloads from it too.
        theirs: the user's.
    """
    fixed: dict[str, dict[str, Any]] = {name: {"value": value} for name, value in _CACHES.items()}
    fixed["VLLM_ENGINE_READY_TIMEOUT_S"] = {"value": str(timing.engine_ready)}
    if token is not None:
        fixed["HF_TOKEN"] = {"valueFrom": {"secretKeyRef": {"name": token.name, "key": token.key}}}
    defaults = {name: {"value": value} for name, value in _QUIET.items()}
    if hub_endpoint:
        defaults["HF_ENDPOINT"] = {"value": hub_endpoint}
    overridden = {variable["name"] for variable in theirs}
    ours = fixed | {name: source for name, source in defaults.items() if name not in overridden}
    return [*({"name": name, **ours[name]} for name in sorted(ours)), *theirs]
