"""Data types of the KV cache: which one is used, and bytes of what one token keeps in one head.

    content(head) = (key head + value head) x element + scales

Source: vLLM 0.32 v1/kv_cache_interface.py, `customize_spec` of the attention backends, layers/attention/mla_attention.py,
layers/quantization/turboquant/config.py.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil

from modelserving.engine.cache_rules import cache_dtype
from modelserving.engine.config import EngineConfig
from modelserving.engine.device import Gpu
from modelserving.models.facts import ModelFacts
from modelserving.sizing.layouts import DTYPE_BYTES

# Bytes of an element by --kv-cache-dtype; nvfp4 with its scales.
_ELEMENT_BYTES: Mapping[str, Fraction] = {
    **{name: Fraction(size) for name, size in DTYPE_BYTES.items()},
    "uint8": Fraction(1),
    "fp8": Fraction(1),
    "fp8_e4m3": Fraction(1),
    "fp8_e5m2": Fraction(1),
    "int8_per_token_head": Fraction(1),
    "fp8_per_token_head": Fraction(1),
    "int4_per_token_head": Fraction(1, 2),
    "nvfp4": Fraction(9, 16),
    "nvfp4_4over6": Fraction(9, 16),
}
# One float32 scale each for the key and the value of a head and token, with the per_token_head types.
_SCALE_BYTES_PER_HEAD = 8
# (bits of a key, bits of a value) by preset; keys of 8 bits are fp8 without a norm.
_TURBOQUANT: Mapping[str, tuple[int, int]] = {
    "turboquant_k8v4": (8, 4),
    "turboquant_4bit_nc": (4, 4),
    "turboquant_k3v4_nc": (3, 4),
    "turboquant_3bit_nc": (3, 3),
}
_TURBOQUANT_NORM_BYTES = 2
_TURBOQUANT_VALUE_SCALE_BYTES = 4
# Latent vectors of sparse MLA, quantized: 512 fp8, 4 float32 scales and 64 rotary elements in 16 bits; half that in nvfp4.
_PACKED_LATENT_BYTES: Mapping[str, int] = {"fp8_ds_mla": 656, "nvfp4_ds_mla": 352}
# Architecture whose cache is fp8 by default on compute capability 10 (models/config.py, GlmMoeDsaForCausalLM).
_FP8_BY_DEFAULT = "GlmMoeDsaForCausalLM"
_DATA_CENTER_BLACKWELL = 10
_WORKSTATION_BLACKWELL = 12


def is_turboquant(dtype: str) -> bool:
    """Whether keys and values of a head are packed together."""
    return dtype in _TURBOQUANT


def is_quantized(dtype: str) -> bool:
    """Whether the cache has fewer bits than the model (utils/torch_utils.py, is_quantized_kv_cache)."""
    return dtype.startswith(("fp8", "nvfp4")) or dtype.endswith("per_token_head")


def kv_dtype(facts: ModelFacts, config: EngineConfig, gpu: Gpu) -> str:
    """Data type of the cache: as asked, else what the checkpoint brings scales for, else the model's."""
    asked = config.kv_cache_dtype
    family = gpu.compute_capability[0]
    if asked == "auto":
        asked = cache_dtype(facts, asked) or config.dtype
        if config.dtype == asked and facts.architecture == _FP8_BY_DEFAULT and family == _DATA_CENTER_BLACKWELL:
            asked = "fp8_e4m3"
    return _sparse(asked, family) if _is_sparse(facts) else asked


def _is_sparse(facts: ModelFacts) -> bool:
    return facts.latent_attention is not None and facts.latent_attention.index_topk is not None


def _sparse(dtype: str, family: int) -> str:
    """Sparse MLA has a packed format of its own, except in FlashInfer's kernels for compute capability 10."""
    if family == _WORKSTATION_BLACKWELL or (is_quantized(dtype) and family != _DATA_CENTER_BLACKWELL):
        return dtype if dtype in _PACKED_LATENT_BYTES else "fp8_ds_mla"
    return dtype


def content_bytes(head_size: int, head_size_v: int, dtype: str) -> int:
    """Bytes that one token keeps in one key-value head."""
    if dtype in _PACKED_LATENT_BYTES:
        return _PACKED_LATENT_BYTES[dtype]
    if is_turboquant(dtype):
        slot = _turboquant_slot(head_size, *_TURBOQUANT[dtype])
        return slot + slot % 2
    scales = _SCALE_BYTES_PER_HEAD if dtype.endswith("per_token_head") else 0
    return int((head_size + head_size_v) * _ELEMENT_BYTES[dtype]) + scales


def _turboquant_slot(head_size: int, key_bits: int, value_bits: int) -> int:
    key = head_size if key_bits == 8 else ceil(head_size * key_bits / 8) + _TURBOQUANT_NORM_BYTES
    return key + ceil(head_size * value_bits / 8) + _TURBOQUANT_VALUE_SCALE_BYTES
