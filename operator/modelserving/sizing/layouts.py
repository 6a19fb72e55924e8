"""Tensors that a rank keeps for its share of a module: plain, quantized by the checkpoint, quantized on the fly.

Source: `create_weights` and `process_weights_after_loading` of vLLM 0.32 model_executor/layers/quantization/auto_awq.py,
auto_gptq.py, fp8.py, modelopt.py, compressed_tensors/schemes/, online/. Packed weights are words of 32 bits.
"""

from collections.abc import Callable, Mapping

from modelserving.engine.shares import Share
from modelserving.models.facts import Module, Quantization
from modelserving.units import ceil_div

DTYPE_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "int64": 8}
_SCALE_BYTES = 4
_WORD_BITS = 32
_WORD_BYTES = 4
# compressed-tensors keeps the logical shape of a packed weight: two int64.
_SHAPE_BYTES = 16
# online/fp8.py, per-block: 128 x 128 weights share a scale.
_ONLINE_BLOCK = 128
# Microscaling formats: 32 weights share a scale of one byte.
_MX_GROUP = 32
# Share of the weights that scales of layouts nobody described may take: as much as NVFP4's, the largest known.
_UNKNOWN_SCALES = 1 / 8


def module_tensors(
    module: Module, share: Share, dtype: str, stored: Quantization | None, online: str | None
) -> tuple[int, ...]:
    """Bytes of each tensor of a module on one rank, bias included.

    Args:
        module: the module.
        share: what of it the rank has.
        dtype: the model's dtype.
        stored: how the checkpoint is quantized, if it is.
        online: method that quantizes on the fly, if one does.
    """
    size = DTYPE_BYTES[module.fixed_dtype or dtype]
    bias = (share.bias * size,) if share.bias else ()
    if stored is not None and module.quantized:
        return _stored(share, size, stored) + bias
    if online is not None and module.quantizable:
        layout = _ONLINE.get(online)
        if layout is not None:
            return layout(share) + bias
    return (share.elements * size, *bias)


def _stored(share: Share, size: int, stored: Quantization) -> tuple[int, ...]:
    if not stored.known:
        weights = share.elements * stored.bits // 8
        return (weights, int(weights * _UNKNOWN_SCALES))
    if stored.bits == 8 and stored.strategy != "group" and stored.method not in ("awq", "gptq"):
        return _eight_bits(share, stored)
    return _packed(share, size, stored)


def _eight_bits(share: Share, stored: Quantization) -> tuple[int, ...]:
    """One byte a weight; a scale for each tensor part, row or block."""
    if stored.strategy == "block" and stored.block_shape is not None:
        rows, columns = stored.block_shape
        scales = ceil_div(share.num_rows, rows) * ceil_div(share.columns, columns)
    elif stored.strategy == "channel":
        scales = share.num_rows
    else:
        scales = len(share.rows)
    static = (len(share.rows) * _SCALE_BYTES,) if stored.dynamic_activations is False else ()
    return (share.elements, scales * _SCALE_BYTES, *static)


def _packed(share: Share, size: int, stored: Quantization) -> tuple[int, ...]:
    """Packed words, a scale in the model's dtype for each group of inputs, packed zero points where they are kept."""
    groups = ceil_div(share.columns, stored.group_size) if stored.group_size else 1
    per_word = _WORD_BITS // stored.bits
    weights = ceil_div(share.elements, per_word) * _WORD_BYTES
    scales = groups * share.num_rows * size
    zero_points = (groups * ceil_div(share.num_rows, per_word) * _WORD_BYTES,) if stored.zero_point else ()
    shape = (_SHAPE_BYTES,) if stored.method == "compressed-tensors" else ()
    return (weights, scales, *zero_points, *shape)


def _per_tensor(share: Share) -> tuple[int, ...]:
    return (share.elements, _SCALE_BYTES)


def _per_block(share: Share) -> tuple[int, ...]:
    blocks = ceil_div(share.num_rows, _ONLINE_BLOCK) * ceil_div(share.columns, _ONLINE_BLOCK)
    return (share.elements, blocks * _SCALE_BYTES)


def _per_channel(share: Share) -> tuple[int, ...]:
    return (share.elements, share.num_rows * _SCALE_BYTES)


def _mxfp8(share: Share) -> tuple[int, ...]:
    return (share.elements, share.elements // _MX_GROUP)


def _mxfp4(share: Share) -> tuple[int, ...]:
    return (share.elements // 2, share.elements // _MX_GROUP)


# Methods for experts only are absent: they leave dense layers as they are.
_ONLINE: Mapping[str, Callable[[Share], tuple[int, ...]]] = {
    "fp8_per_tensor": _per_tensor,
    "fp8_per_block": _per_block,
    "fp8_per_channel": _per_channel,
    "mxfp8": _mxfp8,
    "mxfp4": _mxfp4,
}
