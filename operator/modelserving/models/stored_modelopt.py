"""How NVIDIA ModelOpt says that a checkpoint is quantized.

Source: vLLM 0.32 model_executor/layers/quantization/modelopt.py (`from_config`, `_resolve_quant_algo`,
`is_layer_excluded`), utils/torch_utils.py (`get_kv_cache_quant_algo_string`).
"""

from collections.abc import Mapping
from dataclasses import replace

from modelserving.models.fields import Fields, InvalidFieldError
from modelserving.models.quantization import Quantization

_NV_GROUP, _MX_GROUP = 16, 32
_MIXED = "MIXED_PRECISION"
_FP8_BITS, _NV_BITS = 8, 4
# utils/torch_utils.py, MODELOPT_TO_VLLM_KV_CACHE_DTYPE_MAP.
_CACHES: Mapping[str, str] = {"fp8": "fp8", "nvfp4": "nvfp4"}


def read_modelopt(fields: Fields) -> Quantization:
    """Read `quantization_config` or hf_quant_config.json.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    inner = fields.part("quantization")
    stated = inner or fields
    algorithm = stated.text("quant_algo").upper()
    if not algorithm:
        raise InvalidFieldError(f"{stated.name('quant_algo')} is missing")
    # ModelOpt's own manner has a part of its own and another key than that of compressed-tensors; each reads its own alone.
    ignored = fields.texts("ignore") if inner is None else inner.texts("exclude_modules")
    kv_cache = _cache(fields, stated)
    if algorithm == _MIXED:
        return _mixed(stated, ignored, kv_cache)
    return _scheme(algorithm, ignored, kv_cache)


def read_mxfp8(fields: Fields) -> Quantization:
    """Read a description by `quant_method: mxfp8`: the same format under another name (`ModelOptMxFp8Config.from_config`).

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    if fields.part("quantization") is not None or fields.text("quant_algo"):
        return replace(read_modelopt(fields), kv_cache_scheme=None)
    return _scheme("MXFP8", fields.texts("ignored_layers"))


def _cache(fields: Fields, stated: Fields) -> str | None:
    """Data type of the KV cache, in either spelling, wherever it stands."""
    keys = ("kv_cache_scheme", "kv_cache_quant_algo")
    found = next((part.raw(key) for key in keys for part in (stated, fields) if part.raw(key)), None)
    if isinstance(found, Mapping):
        if found.get("type") != "float":
            return None
        if found.get("num_bits") == _NV_BITS:
            return "nvfp4"
        return "fp8" if found.get("num_bits") == _FP8_BITS and found.get("dynamic") is False else None
    return _CACHES.get(found.lower()) if isinstance(found, str) else None


def _scheme(algorithm: str, ignored: tuple[str, ...] = (), kv_cache: str | None = None) -> Quantization:
    """One algorithm's layout of a weight."""
    bits, group, dynamic = 8, None, False
    method, strategy, block = "modelopt", "tensor", None
    known = True
    if algorithm in ("NVFP4", "W4A16_NVFP4"):
        method, bits, strategy, group, dynamic = "modelopt_fp4", 4, "group", _NV_GROUP, True
    elif algorithm == "MXFP8":
        method, strategy, group, dynamic = "modelopt_mxfp8", "group", _MX_GROUP, True
    elif algorithm in ("FP8_PER_CHANNEL_PER_TOKEN", "FP8_PC_PT"):
        strategy, dynamic = "channel", True
    elif algorithm.startswith("FP8_PB") or algorithm == "FP8_BLOCK":
        strategy, block, dynamic = "block", (128, 128), True
    elif algorithm != "FP8":
        known = False
    return Quantization(
        method=method,
        bits=bits,
        is_float=True,
        strategy=strategy,
        group_size=group,
        block_shape=block,
        dynamic_activations=dynamic,
        # The output head is quantized like any layer, unless it is excluded.
        lm_head=True,
        ignored=ignored,
        kv_cache_scheme=kv_cache,
        known=known,
    )


def _mixed(fields: Fields, ignored: tuple[str, ...], kv_cache: str | None) -> Quantization:
    """Layers named one by one, each with its algorithm; those not named stay as they are."""
    layers = fields.required_part("quantized_layers")
    content = fields.raw("quantized_layers")
    by_algorithm: dict[str, list[str]] = {}
    for name in content if isinstance(content, Mapping) else ():
        if not isinstance(name, str):
            raise fields.fail("quantized_layers", "an object of module names")
        algorithm = layers.required_part(name).text("quant_algo").upper()
        by_algorithm.setdefault(algorithm, []).append(name)
    overrides = tuple((tuple(names), _scheme(algorithm)) for algorithm, names in by_algorithm.items())
    if not overrides:
        raise fields.fail("quantized_layers", "an object with at least one module")
    bits = min(scheme.bits for _, scheme in overrides)
    return Quantization(
        method="modelopt_mixed",
        bits=bits,
        is_float=True,
        strategy="group",
        group_size=_NV_GROUP if bits == 4 else None,
        dynamic_activations=True,
        lm_head=True,
        ignored=ignored,
        kv_cache_scheme=kv_cache,
        known=all(scheme.known for _, scheme in overrides),
        overrides=overrides,
        only_named=True,
    )
