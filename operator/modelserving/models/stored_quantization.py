"""How a checkpoint says that it is quantized -> `Quantization`.

Sources: vLLM 0.32 model_executor/layers/quantization/{auto_awq,auto_gptq,fp8,mxfp4}.py (`from_config` of each),
config/model.py `_verify_quantization`.
"""

from dataclasses import replace

from modelserving.models.facts import Quantization
from modelserving.models.fields import Fields, show
from modelserving.models.metadata import ModelMetadata
from modelserving.models.stored_compressed import LARGEST_GROUP, read_compressed
from modelserving.models.stored_deepseek import DEEPSEEK_V4, read_deepseek_v4
from modelserving.models.stored_modelopt import read_modelopt, read_mxfp8

# Files that describe the quantization where config.json does not, and the method that each stands for.
_FILES = {"quantize_config.json": "gptq", "quant_config.json": "awq", "hf_quant_config.json": "modelopt"}
# auto_gptq.py, TYPE_MAP: (bits, symmetric) that its kernels take.
_GPTQ_BITS = (4, 8)
_AWQ_BITS = (4,)
_MX_GROUP = 32
# Parts that may describe the quantization of the language model alone.
_NESTED = ("text_config", "llm_config")
_MODELOPT = ("modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed")
_GPTQ_ALIASES = ("gptq", "gptq_marlin", "auto_gptq")
_AWQ_ALIASES = ("awq", "awq_marlin", "auto_awq")


def read_quantization(metadata: ModelMetadata) -> Quantization | None:
    """Read how the checkpoint is quantized; None if it is not, or vLLM cannot tell.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    config = Fields(metadata.config)
    fields = config.part("quantization_config") or config.part("compression_config")
    if fields is not None:
        method = _method(fields)
        if method == "fp8" and config.text("model_type") == DEEPSEEK_V4:
            return read_deepseek_v4(config, fields, _fp8(fields))
        return _read(method, fields) if method else None
    for file, method in _FILES.items():
        content = metadata.quantization_files.get(file)
        if content is not None:
            part = Fields({file: content}).required_part(file)
            if method == "modelopt":
                return read_modelopt(part)
            part = part.part("quantization") or part
            return _read(part.text("quant_method", method).lower(), part)
    for key in _NESTED:
        text = config.part(key)
        nested = text.part("quantization_config") if text is not None else None
        if nested is not None:
            found = _read(nested.text("quant_method").lower(), nested)
            # models/internvl.py, `_patch_quant_config`: the tower of such a checkpoint stays as it is.
            return replace(found, ignored=found.ignored or ("vision_model",)) if found.method == "awq" else found
    return None


def names_no_method(config: Fields) -> bool:
    """Whether config.json describes a quantization that vLLM does not see, since it has no `quant_method`."""
    fields = config.part("quantization_config")
    return fields is not None and not _method(fields)


def _method(fields: Fields) -> str:
    """Name of the method; none where vLLM takes the checkpoint for unquantized.

    ModelOpt may state its algorithm in a part of its own; without that and without `quant_method` vLLM finds no method
    (transformers_utils/model_arch_config_convertor.py, _normalize_quantization_config).
    """
    stated = fields.text("quant_method").lower().replace("compressed_tensors", "compressed-tensors")
    if stated:
        return stated
    inner = fields.part("quantization")
    return "modelopt" if inner is not None and inner.has("quant_algo") else ""


def _read(method: str, fields: Fields) -> Quantization:
    if method in _AWQ_ALIASES:
        return _awq(fields)
    if method in _GPTQ_ALIASES:
        return _gptq(fields)
    if method == "fp8":
        return _fp8(fields)
    if method == "compressed-tensors":
        return read_compressed(fields)
    if method in _MODELOPT:
        return read_modelopt(fields)
    if method == "mxfp8":
        return read_mxfp8(fields)
    if method == "mxfp4":
        return _mxfp4(fields)
    bits = 4 if fields.flag("load_in_4bit") else 8 if fields.flag("load_in_8bit") else None
    bits = bits or fields.whole("bits", fields.whole("weight_bits", 4, high=32), high=32)
    return Quantization(method=show(method)[1:-1], bits=bits, known=False)


def _one_of(fields: Fields, *keys: str) -> str:
    return next((key for key in keys if fields.raw(key) is not None), keys[0])


def _group_size(fields: Fields, key: str) -> int | None:
    if fields.raw(key) == -1:
        return None
    return fields.whole(key, high=LARGEST_GROUP)


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
        symmetric=not fields.flag("zero_point", True),
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
        symmetric=fields.flag("sym", True),
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
        shape = (pair.whole("rows", high=LARGEST_GROUP), pair.whole("columns", high=LARGEST_GROUP))
    return Quantization(
        method="fp8",
        bits=8,
        is_float=True,
        strategy="tensor" if shape is None else "block",
        block_shape=shape,
        dynamic_activations=fields.text("activation_scheme", "dynamic") == "dynamic",
        ignored=fields.texts("ignored_layers") + fields.texts("modules_to_not_convert"),
    )


def _mxfp4(fields: Fields) -> Quantization:
    """Microscaled fp4 of routed experts; every other layer stays as it is (mxfp4.py)."""
    return Quantization(
        method="gpt_oss_mxfp4",
        bits=4,
        is_float=True,
        strategy="group",
        group_size=_MX_GROUP,
        ignored=fields.texts("modules_to_not_convert"),
        experts_only=True,
    )
