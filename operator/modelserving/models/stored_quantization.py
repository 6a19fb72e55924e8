"""How a checkpoint says that it is quantized -> `Quantization`.

Sources: vLLM 0.32 model_executor/layers/quantization/{auto_awq,auto_gptq,fp8,modelopt}.py and
compressed_tensors/compressed_tensors.py (`from_config` of each), config/model.py `_verify_quantization`.
"""

from modelserving.models.facts import Quantization
from modelserving.models.fields import Fields, InvalidFieldError, show
from modelserving.models.metadata import ModelMetadata

# Files that describe the quantization where config.json does not, and the method that each stands for.
_FILES = {"quantize_config.json": "gptq", "quant_config.json": "awq", "hf_quant_config.json": "modelopt"}
# auto_gptq.py, TYPE_MAP: (bits, symmetric) that its kernels take.
_GPTQ_BITS = (4, 8)
_AWQ_BITS = (4,)
_LARGEST_GROUP = 65536
_GPTQ_ALIASES = ("gptq", "gptq_marlin", "auto_gptq")
_AWQ_ALIASES = ("awq", "awq_marlin", "auto_awq")


def read_quantization(metadata: ModelMetadata) -> Quantization | None:
    """Read how the checkpoint is quantized; None if it is not.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    config = Fields(metadata.config)
    fields = config.part("quantization_config") or config.part("compression_config")
    if fields is not None:
        method = fields.text("quant_method").lower() or _method_by_producer(fields)
        return _read(method, fields)
    for file, method in _FILES.items():
        content = metadata.quantization_files.get(file)
        if content is not None:
            part = Fields({file: content}).required_part(file)
            part = part.part("quantization") or part
            return _read(part.text("quant_method", method).lower(), part)
    text = config.part("text_config")
    nested = text.part("quantization_config") if text is not None else None
    return None if nested is None else _read(nested.text("quant_method").lower(), nested)


def _method_by_producer(fields: Fields) -> str:
    producer = fields.part("producer")
    if fields.has("quant_algo") or (producer is not None and producer.text("name") == "modelopt"):
        return "modelopt"
    if fields.has("config_groups"):
        return "compressed-tensors"
    raise InvalidFieldError(f"{fields.name('quant_method')} is missing")


def _read(method: str, fields: Fields) -> Quantization:
    if method in _AWQ_ALIASES:
        return _awq(fields)
    if method in _GPTQ_ALIASES:
        return _gptq(fields)
    if method == "fp8":
        return _fp8(fields)
    if method == "compressed-tensors":
        return _compressed_tensors(fields)
    if method in ("modelopt", "modelopt_fp4"):
        return _modelopt(fields)
    bits = 4 if fields.flag("load_in_4bit") else 8 if fields.flag("load_in_8bit") else None
    bits = bits or fields.whole("bits", fields.whole("weight_bits", 4, high=32), high=32)
    return Quantization(method=show(method)[1:-1], bits=bits, known=False)


def _one_of(fields: Fields, *keys: str) -> str:
    return next((key for key in keys if fields.raw(key) is not None), keys[0])


def _group_size(fields: Fields, key: str) -> int | None:
    if fields.raw(key) == -1:
        return None
    return fields.whole(key, high=_LARGEST_GROUP)


def _bits(fields: Fields, key: str, allowed: tuple[int, ...]) -> int:
    bits = fields.whole(key, high=32)
    if bits not in allowed:
        raise fields.fail(key, " or ".join(str(number) for number in allowed) + "; vLLM has no kernel for others")
    return bits


def _awq(fields: Fields) -> Quantization:
    group = _group_size(fields, _one_of(fields, "group_size", "q_group_size"))
    return Quantization(
        method="awq",
        bits=_bits(fields, _one_of(fields, "bits", "w_bit"), _AWQ_BITS),
        strategy="channel" if group is None else "group",
        group_size=group,
        zero_point=True,
        lm_head=fields.flag("lm_head"),
        ignored=fields.texts("modules_to_not_convert"),
    )


def _gptq(fields: Fields) -> Quantization:
    group = _group_size(fields, "group_size")
    return Quantization(
        method="gptq",
        bits=_bits(fields, "bits", _GPTQ_BITS),
        strategy="channel" if group is None else "group",
        group_size=group,
        zero_point=True,
        desc_act=fields.flag("desc_act") and group is not None,
        lm_head=fields.flag("lm_head"),
        # Per-module overrides of bits and groups (GPTQModel).
        known=not fields.raw("dynamic"),
    )


def _fp8(fields: Fields) -> Quantization:
    block = fields.raw("weight_block_size")
    shape = None
    if block is not None:
        if not isinstance(block, list | tuple) or len(block) != 2:
            raise fields.fail("weight_block_size", "a list of two whole numbers")
        pair = Fields({"rows": block[0], "columns": block[1]}, fields.name("weight_block_size"))
        shape = (pair.whole("rows", high=_LARGEST_GROUP), pair.whole("columns", high=_LARGEST_GROUP))
    return Quantization(
        method="fp8",
        bits=8,
        is_float=True,
        strategy="tensor" if shape is None else "block",
        block_shape=shape,
        dynamic_activations=fields.text("activation_scheme", "dynamic") == "dynamic",
        ignored=fields.texts("ignored_layers") + fields.texts("modules_to_not_convert"),
    )


def _compressed_tensors(fields: Fields) -> Quantization:
    groups = fields.required_part("config_groups")
    content = fields.raw("config_groups")
    first = next(iter(content), None)
    if first is None:
        raise fields.fail("config_groups", "an object with at least one group")
    scheme = groups.required_part(str(first))
    weights = scheme.required_part("weights")
    activations = scheme.part("input_activations")
    bits = weights.whole("num_bits", high=32)
    is_float = weights.text("type", "int") == "float"
    group = _group_size(weights, "group_size") if weights.raw("group_size") is not None else None
    strategy = weights.text("strategy") or ("tensor" if group is None else "group")
    plain = (bits, is_float, strategy) in {
        (8, True, "tensor"),
        (8, True, "channel"),
        (8, False, "tensor"),
        (8, False, "channel"),
        (8, False, "group"),
        (4, False, "group"),
        (4, False, "channel"),
    }
    return Quantization(
        method="compressed-tensors",
        bits=bits,
        is_float=is_float,
        strategy=strategy,
        group_size=group if strategy == "group" else None,
        zero_point=not weights.flag("symmetric", True),
        dynamic_activations=None if activations is None else activations.raw("dynamic") is not False,
        desc_act=weights.raw("actorder") in ("group", "dynamic"),
        ignored=fields.texts("ignore"),
        kv_cache_scheme="fp8" if fields.raw("kv_cache_scheme") is not None else None,
        known=plain and len(content) == 1 and (strategy != "group" or group is not None),
    )


def _modelopt(fields: Fields) -> Quantization:
    algorithm = fields.text("quant_algo").upper()
    if not algorithm:
        raise InvalidFieldError(f"{fields.name('quant_algo')} is missing")
    scheme = fields.raw("kv_cache_scheme") or fields.raw("kv_cache_quant_algo")
    ignored = fields.texts("ignore") + fields.texts("exclude_modules")
    kv_cache = "fp8" if scheme is not None else None
    if algorithm == "FP8":
        return Quantization(
            method="modelopt",
            bits=8,
            is_float=True,
            dynamic_activations=False,
            ignored=ignored,
            kv_cache_scheme=kv_cache,
        )
    return Quantization(
        method="modelopt_fp4" if algorithm == "NVFP4" else "modelopt",
        bits=4,
        is_float=True,
        strategy="group",
        group_size=16,
        dynamic_activations=True,
        ignored=ignored,
        kv_cache_scheme=kv_cache,
        known=False,
    )
