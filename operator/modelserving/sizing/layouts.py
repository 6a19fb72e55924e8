"""Tensors that a rank keeps for its share of a module: plain, quantized by the checkpoint, quantized on the fly.

Source: `create_weights` and `process_weights_after_loading` of vLLM 0.32 model_executor/layers/quantization/auto_awq.py,
auto_gptq.py, fp8.py, modelopt.py, mxfp4.py, compressed_tensors/, online/. Packed weights are words of 32 bits. Routed experts
are stacked: every tensor is as many times as large as there are experts on the rank.
"""

from collections.abc import Callable, Mapping

from modelserving.engine.expert_kernels import expert_block, expert_group
from modelserving.engine.quantization import method_of
from modelserving.engine.shares import Share
from modelserving.models.facts import Module, Quantization
from modelserving.units import ceil_div

DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "int64": 8, "int32": 4, "uint8": 1}
_SCALE_BYTES = 4
_WORD_BITS = 32
_WORD_BYTES = 4
# compressed-tensors keeps the logical shape of a packed weight: two int64, of stacked experts two numbers in the model's dtype each.
_SHAPE_SIDES = 2
_SHAPE_SIDE_BYTES = 8
# online/fp8.py, per-block: 128 x 128 weights share a scale.
_ONLINE_BLOCK = 128
# Microscaling formats: 32 weights share a scale of one byte; NVFP4: 16.
_MX_GROUP = 32
_NV_GROUP = 16
# Share of the weights that scales of layouts nobody described may take: as much as NVFP4's, the largest known.
_UNKNOWN_SCALES = 1 / 8
_MICROSCALED = frozenset({"mxfp4", "gpt_oss_mxfp4"})


def module_tensors(
    module: Module, share: Share, dtype: str, stored: Quantization | None, online: str | None
) -> tuple[int, ...]:
    """Bytes of each tensor of a module on one rank, bias included.

    Args:
        module: the module.
        share: what of it the rank has, padded as its kernel asks.
        dtype: the module's dtype.
        stored: how the checkpoint is quantized, if it is.
        online: method that quantizes on the fly, if one does.
    """
    size = DTYPE_BYTES[dtype]
    kept = _quantized(module, share, size, stored, online)
    bias = (share.bias * size,) if share.bias else ()
    if kept is None:
        return (share.elements * size, *bias)
    copy = (share.elements * size,) if module.keeps_copy else ()
    return (*kept, *bias, *copy)


def _quantized(
    module: Module, share: Share, size: int, stored: Quantization | None, online: str | None
) -> tuple[int, ...] | None:
    if stored is not None and module.quantized:
        return _stored(module, share, size, module.scheme or stored)
    if online is not None and module.quantizable and reaches(module, online):
        layout = _ONLINE.get(online)
        return None if layout is None else layout(share)
    return None


def reaches(module: Module, online: str) -> bool:
    """Whether a method that quantizes on the fly reaches a module: some leave all but routed experts as they are."""
    method = method_of(online)
    return module.experts > 0 or method is None or not method.experts_only


def _stored(module: Module, share: Share, size: int, stored: Quantization) -> tuple[int, ...]:
    if not stored.known:
        weights = share.elements * stored.bits // 8
        return (weights, int(weights * _UNKNOWN_SCALES))
    if stored.is_float and stored.bits == 4:
        return _four_bit_floats(share, stored)
    if stored.is_float and stored.group_size:
        return (share.elements, share.elements // stored.group_size)
    if stored.bits == 8 and stored.strategy != "group" and stored.method not in ("awq", "gptq"):
        return _eight_bits(module, share, stored)
    return _packed(module, share, size, stored)


def _eight_bits(module: Module, share: Share, stored: Quantization) -> tuple[int, ...]:
    """One byte a weight; a scale for each tensor part, row or block."""
    if stored.strategy == "block" and stored.block_shape is not None:
        rows, columns = expert_block(module, share, stored.block_shape) if module.experts else stored.block_shape
        blocks = sum(ceil_div(part, rows) for part in share.rows) if module.experts else ceil_div(share.num_rows, rows)
        scales = blocks * ceil_div(share.columns, columns)
    elif stored.strategy == "channel":
        scales = share.num_rows
    else:
        scales = len(share.rows)
    width = stored.scale_bytes if stored.strategy == "block" else _SCALE_BYTES
    inputs = 1 if module.experts else len(share.rows)
    static = (share.experts * inputs * _SCALE_BYTES,) if stored.dynamic_activations is False else ()
    return (share.elements, share.experts * scales * width, *static)


def _four_bit_floats(share: Share, stored: Quantization) -> tuple[int, ...]:
    """Two weights a byte and a byte for each group; NVFP4 has scales of its own for weights and inputs besides."""
    weights = share.elements // 2
    if stored.method in _MICROSCALED or stored.group_size == _MX_GROUP:
        return (weights, share.elements // _MX_GROUP)
    globals_ = share.experts * len(share.rows) * _SCALE_BYTES
    inputs = () if stored.dynamic_activations is None else (globals_,)
    # Inputs that fill no group have no scale of their own (modelopt.py, ModelOptNvFp4FusedMoE): other layers have none such.
    groups = share.columns // (stored.group_size or _NV_GROUP)
    return (weights, share.experts * share.num_rows * groups, globals_, *inputs)


def _packed(module: Module, share: Share, size: int, stored: Quantization) -> tuple[int, ...]:
    """Packed words, a scale in the model's dtype for each group of inputs, packed zero points where they are kept.

    Routed experts of GPTQ have biases in Marlin's layout; in the one for finer groups they have none, nor zero points that say
    nothing.
    """
    group, is_marlin = stored.group_size, True
    if group:
        group, is_marlin = expert_group(module, share, stored.method, group) or (group, True)
    groups = ceil_div(share.columns, group) if group else 1
    per_word = _WORD_BITS // stored.bits
    weights = ceil_div(share.elements, per_word) * _WORD_BYTES
    scales = share.experts * groups * share.num_rows * size
    zeros = share.experts * groups * ceil_div(share.num_rows, per_word) * _WORD_BYTES
    zero_points = (zeros,) if stored.zero_point and (is_marlin or not stored.symmetric) else ()
    biases = (
        (share.experts * share.num_rows * size,) if stored.method == "gptq" and module.experts and is_marlin else ()
    )
    shape: tuple[int, ...] = ()
    if stored.method == "compressed-tensors":
        shape = (_SHAPE_SIDES * size * share.experts if module.experts else _SHAPE_SIDES * _SHAPE_SIDE_BYTES,)
    return (weights, scales, *zero_points, *shape, *biases)


def _per_tensor(share: Share) -> tuple[int, ...]:
    return (share.elements, share.experts * _SCALE_BYTES)


def _per_block(share: Share) -> tuple[int, ...]:
    blocks = ceil_div(share.num_rows, _ONLINE_BLOCK) * ceil_div(share.columns, _ONLINE_BLOCK)
    return (share.elements, share.experts * blocks * _SCALE_BYTES)


def _per_channel(share: Share) -> tuple[int, ...]:
    return (share.elements, share.experts * share.num_rows * _SCALE_BYTES)


def _mxfp8(share: Share) -> tuple[int, ...]:
    return (share.elements, share.elements // _MX_GROUP)


def _mxfp4(share: Share) -> tuple[int, ...]:
    return (share.elements // 2, share.elements // _MX_GROUP)


def _nvfp4(share: Share) -> tuple[int, ...]:
    return (share.elements // 2, share.elements // _NV_GROUP, share.experts * _SCALE_BYTES)


def _misread(share: Share) -> tuple[int, ...]:
    """DeepSeek V4's own layout: experts in mxfp4, all else in fp8 with a scale for each part."""
    return _mxfp4(share) if share.experts > 1 else (share.elements, len(share.rows) * _SCALE_BYTES)


_ONLINE: Mapping[str, Callable[[Share], tuple[int, ...]]] = {
    "fp8_per_tensor": _per_tensor,
    "fp8_per_block": _per_block,
    "fp8_per_channel": _per_channel,
    "mxfp8": _mxfp8,
    "mxfp4": _mxfp4,
    "int8_per_channel_weight_only": _per_channel,
    "experts_int8": _per_channel,
    "nvfp4_per_token": _nvfp4,
    "deepseek_v4_fp8": _misread,
}
