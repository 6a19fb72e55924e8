"""Which data types of the KV cache a model can have on a GPU.

Source: vLLM 0.32 config/cache.py (CacheDType), `supported_kv_cache_dtypes` and `supports_combination` of the attention
backends in v1/attention/backends/, and their answers for ten GPUs.
"""

from modelserving.engine.config import EngineRefusal
from modelserving.engine.device import Gpu
from modelserving.engine.quantization import capability_number
from modelserving.models.facts import ModelFacts

_PLAIN = frozenset({"auto", "float16", "bfloat16"})
_TURBOQUANT = frozenset({"turboquant_k8v4", "turboquant_4bit_nc", "turboquant_k3v4_nc", "turboquant_3bit_nc"})
_KNOWN = (
    _PLAIN
    | _TURBOQUANT
    | {"fp8", "fp8_e4m3", "fp8_e5m2", "int8_per_token_head", "fp8_per_token_head", "int4_per_token_head", "nvfp4"}
)
# What backends for latent attention take; sparse attention has a layout of its own besides.
_LATENT = _PLAIN | {"fp8", "fp8_e4m3"}
_SPARSE = frozenset({"fp8_ds_mla"})
# FlashInfer has fp8 caches from Ampere on; Triton's latent attention computes in fp8, which Ada was the first to have.
_FP8_CAPABILITY, _FP8_LATENT_CAPABILITY = 80, 89


def cache_dtype_objection(facts: ModelFacts, dtype: str, gpu: Gpu) -> EngineRefusal | None:
    """Why the cache cannot have this data type, or None."""
    latent = facts.latent_attention
    if dtype not in _KNOWN | _SPARSE:
        return EngineRefusal("KvCacheDtypeUnknown", f"the size of a KV cache of {dtype[:60]!r} is not known. Use fp8.")
    sparse = _SPARSE if latent is not None and latent.index_topk is not None else frozenset()
    if (latent is None and dtype in _SPARSE) or (latent is not None and dtype not in _LATENT | sparse):
        takes = ", ".join(sorted(_LATENT | sparse)) if latent is not None else "fp8 or auto"
        return EngineRefusal(
            "KvCacheDtypeNotSupported",
            f"the attention of {facts.model} has no KV cache of {dtype}; it takes {takes}.",
        )
    oldest = _FP8_LATENT_CAPABILITY if latent is not None else _FP8_CAPABILITY
    number = capability_number(gpu)
    if dtype.startswith("fp8") and number < oldest:
        return EngineRefusal(
            "KvCacheDtypeNeedsNewerGpu",
            f"an fp8 KV cache of {facts.model} needs compute capability {oldest / 10:.1f} or newer; {gpu.product} has "
            f"{number / 10:.1f}. Use auto.",
        )
    return None
