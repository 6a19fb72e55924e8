"""What vLLM chooses when a flag is left out.

Source: vLLM 0.32 engine/arg_utils.py `get_batch_defaults`, config/model.py `_resolve_auto_dtype`, config/cache.py. They
depend on the GPU's name, so a rendered command should always state them.
"""

from typing import Literal

from modelserving.engine.config import EngineRefusal
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import ModelFacts
from modelserving.units import GIB

# Tiers of GPU memory as the driver reports it (arg_utils.py).
_HUGE_GPU = 160 * GIB
_LARGE_GPU = 70 * GIB
# Large GPUs that arg_utils.py leaves out of the tier by name.
_SLOW_LARGE_GPUS = ("a100", "gb10")
# bfloat16 needs Ampere (platforms/cuda.py, supported_dtypes).
_BFLOAT16_CAPABILITY = (8, 0)
# config/model.py, _FLOAT16_NOT_SUPPORTED_MODELS.
_NO_FLOAT16 = frozenset({"gemma2", "gemma3", "gemma3_text", "plamo2", "glm4"})
DTYPES = ("bfloat16", "float16", "float32")


def batch_defaults(
    version: EngineVersion, gpu: Gpu, context: Literal["server", "offline"] = "server"
) -> tuple[int, int]:
    """(max_num_batched_tokens, max_num_seqs) that vLLM would choose.

    Args:
        version: facts of the vLLM version.
        gpu: the GPU.
        context: "server" for `vllm serve`, "offline" for `LLM()`.
    """
    name = gpu.product.lower()
    server = context == "server"
    memory = gpu.memory_total_bytes
    if version.huge_gpu_tier and memory >= _HUGE_GPU:
        return 16384, 1024
    if memory >= _LARGE_GPU and not any(slow in name for slow in _SLOW_LARGE_GPUS):
        return (8192 if server else 16384), (1024 if version.large_gpu_tier else 256)
    return (2048 if server else 8192), 256


def default_gpu_memory_utilization(version: EngineVersion) -> float:
    """Default of `--gpu-memory-utilization`."""
    return version.gpu_memory_utilization


def resolve_dtype(facts: ModelFacts, asked: str, gpu: Gpu) -> str | EngineRefusal:
    """What `--dtype` asked (`auto`, `bfloat16`, `float16`, `float32`) becomes on a GPU.

    `auto` is the stored type; float32 checkpoints run in 16 bits; bfloat16 becomes float16 before compute capability 8.0,
    or float32 for models that overflow float16.
    """
    has_bfloat16 = gpu.compute_capability >= _BFLOAT16_CAPABILITY
    no_float16 = facts.model_type in _NO_FLOAT16
    capability = ".".join(str(part) for part in gpu.compute_capability)
    if asked == "auto":
        supported = [
            dtype
            for dtype in DTYPES
            if (dtype != "bfloat16" or has_bfloat16) and (dtype != "float16" or not no_float16)
        ]
        # Embeddings and scores are made in float16 where the checkpoint leaves a choice.
        preferred = "float16" if facts.pooling and "float16" in supported else supported[0]
        wanted = preferred if facts.stored_dtype == "float32" else facts.stored_dtype
        return wanted if wanted in supported else preferred
    if asked not in DTYPES:
        return EngineRefusal("UnknownDtype", f"dtype {asked[:60]!r} is not one of auto, {', '.join(DTYPES)}")
    if asked == "bfloat16" and not has_bfloat16:
        return EngineRefusal(
            "DtypeNotSupported",
            f"bfloat16 needs compute capability 8.0 or newer; {gpu.product} has {capability}. Ask for fp16 or auto.",
        )
    if asked == "float16" and no_float16:
        return EngineRefusal(
            "DtypeNotSupported", f"{facts.model_type} overflows in float16 and vLLM refuses it. Ask for bf16 or fp32."
        )
    return asked
