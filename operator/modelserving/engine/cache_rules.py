"""Which data types of the KV cache a model can have on a GPU.

Source: vLLM 0.32 config/cache.py (CacheDType), `supported_kv_cache_dtypes` and `supports_combination` of the attention
backends in v1/attention/backends/, and their answers for ten GPUs.
"""

from modelserving.engine.batching import is_prefix_lm
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
# FlashInfer has fp8 caches from Ampere on; Triton's attention computes in fp8, which Ada was the first to have.
_FP8_CAPABILITY, _FP8_TRITON_CAPABILITY = 80, 89
# v1/attention/backends/flashinfer.py, get_supported_head_sizes.
_FLASHINFER_HEADS = frozenset({64, 128, 256, 512})
# Layouts of fp8 that only Triton's attention has (triton_attn.py, supported_kv_cache_dtypes).
_TRITON = frozenset({"fp8_per_token_head"})


def cache_dtype(facts: ModelFacts, asked: str) -> str | None:
    """Data type of the cache: as asked, else what the checkpoint brings scales for; None where the model's decides."""
    if asked != "auto":
        return asked
    stored = facts.stored_quantization
    return stored.kv_cache_scheme if stored is not None else None


def cache_dtype_objection(facts: ModelFacts, asked: str, gpu: Gpu) -> EngineRefusal | None:
    """Why the cache cannot have this data type, or None."""
    latent = facts.latent_attention
    dtype = cache_dtype(facts, asked) or asked
    if dtype not in _KNOWN | _SPARSE:
        return EngineRefusal("KvCacheDtypeUnknown", f"the size of a KV cache of {dtype[:60]!r} is not known. Use fp8.")
    sparse = _SPARSE if latent is not None and latent.index_topk is not None else frozenset()
    if (latent is None and dtype in _SPARSE) or (latent is not None and dtype not in _LATENT | sparse):
        takes = ", ".join(sorted(_LATENT | sparse)) if latent is not None else "fp8 or auto"
        return EngineRefusal(
            "KvCacheDtypeNotSupported",
            f"the attention of {facts.model} has no KV cache of {dtype}; it takes {takes}.",
        )
    is_triton = dtype in _TRITON or _needs_triton(facts)
    oldest = _FP8_TRITON_CAPABILITY if is_triton else _FP8_CAPABILITY
    number = capability_number(gpu)
    if dtype.startswith("fp8") and number < oldest:
        return EngineRefusal(
            "KvCacheDtypeNeedsNewerGpu",
            f"an fp8 KV cache of {facts.model} needs compute capability {oldest / 10:.1f} or newer; {gpu.product} has "
            f"{number / 10:.1f}. Use {'bfloat16' if asked == 'auto' else 'auto'}.",
        )
    return None


def _needs_triton(facts: ModelFacts) -> bool:
    """Whether Triton's is the only attention that reads an fp8 cache on Ampere.

    FlashInfer, which else does, has kernels for some sizes of heads, and neither for sinks nor for images that are attended
    to from both sides; heads of several sizes are Triton's (models/config.py, Gemma4Config).
    """
    kept = [group for group in facts.attention if group.keeps_cache and not group.states]
    sizes = {size for group in kept for size in (group.head_size, group.head_size_v)}
    return (
        facts.latent_attention is not None
        or len(sizes) > 1
        or not sizes <= _FLASHINFER_HEADS
        or any(group.sinks for group in kept)
        or is_prefix_lm(facts)
    )
