"""How kernels for routed experts pad the sizes of an expert.

Source: vLLM 0.32 layers/fused_moe/oracle/{mxfp4,unquantized}.py, layers/quantization/online/fp8.py (`maybe_roundup_sizes` of
each method), and the order in which those choose a kernel on each generation of GPUs.
"""

from dataclasses import dataclass, replace
from math import gcd

from modelserving.engine.device import Gpu
from modelserving.engine.shares import Share
from modelserving.models.facts import Module, Split
from modelserving.units import round_up

_HOPPER, _BLACKWELL = 9, 10
# Methods whose experts are microscaled fp4.
_MXFP4 = frozenset({"mxfp4", "gpt_oss_mxfp4", "deepseek_v4_fp8"})
_BLOCKS = "fp8_per_block"
# Kernels take no finer blocks (oracle/fp8.py, refine_fp8_moe_block_shape).
_FINEST_BLOCK = 32
# Methods whose experts are packed integers with a choice of kernel, what Marlin takes of them, and how fine groups become where
# it takes them not (marlin_utils.py, check_moe_marlin_supports_config; moe_wna16.py, create_weights).
_CHOOSING = frozenset({"awq", "gptq"})
_MARLIN_TILE, _MARLIN_GROUPS, _FINEST_GROUP = 128, (32, 64, 128), 32


@dataclass(frozen=True, slots=True)
class Alignment:
    """Multiples that the sizes of an expert are rounded up to, on a rank."""

    intermediate_size: int = 1
    hidden_size: int = 1


_PLAIN = Alignment()
# Marlin on Ampere and Ada, TRT-LLM on Blackwell.
_TILES = Alignment(128, 256)
# FlashInfer's CUTLASS kernel for gpt-oss on Hopper.
_HOPPER_TILES = Alignment(128, 128)


def alignment(method: str | None, gpu: Gpu | None, is_plain: bool) -> Alignment:
    """How a kernel pads experts.

    Args:
        method: quantization of the experts, None for 16 bits.
        gpu: the GPU; None for one nobody named.
        is_plain: whether experts have neither biases nor another activation than SiLU or squared ReLU, as TRT-LLM's 16-bit
            kernels ask (experts/trtllm_bf16_moe.py).
    """
    generation = gpu.compute_capability[0] if gpu is not None else _HOPPER
    if method == _BLOCKS:
        return Alignment(128, 128)
    if method in _MXFP4:
        return _HOPPER_TILES if generation == _HOPPER and method == "gpt_oss_mxfp4" else _TILES
    if method is None and generation == _BLACKWELL and is_plain:
        return Alignment(128)
    return _PLAIN


def padded(module: Module, share: Share, multiple: Alignment) -> Share:
    """A rank's share of experts with its sizes rounded up."""
    if not module.experts or multiple == _PLAIN:
        return share
    inner, width = multiple.intermediate_size, multiple.hidden_size
    by_rows, by_columns = (width, inner) if module.split is Split.ROW else (inner, width)
    rows = tuple(round_up(part, by_rows) for part in share.rows)
    bias = share.experts * sum(rows) if share.bias else 0
    return replace(share, rows=rows, columns=round_up(share.columns, by_columns), bias=bias)


def expert_block(module: Module, share: Share, block: tuple[int, int]) -> tuple[int, int]:
    """Block of experts in block-scaled fp8: refined where a rank's share cuts the checkpoint's (refine_fp8_moe_block_shape)."""
    inner, width = share.rows[0], share.columns
    if module.split is Split.ROW:
        inner, width = width, inner
    if inner % block[0] == 0 and inner % block[1] == 0:
        return block
    refined = gcd(*block, inner, width)
    return (refined, refined) if refined >= _FINEST_BLOCK else block


def expert_group(module: Module, share: Share, method: str, group: int) -> tuple[int, bool] | None:
    """(group, whether it is Marlin's layout) of packed integer experts; None where no kernel takes them.

    Marlin takes a hidden size of whole tiles and groups that no rank cuts; else another kernel takes over, which halves the
    group until it divides (auto_gptq.py, auto_awq.py, moe_wna16.py).
    """
    if not module.experts or method not in _CHOOSING:
        return group, True
    inner, width = share.rows[0], share.columns
    if module.split is Split.ROW:
        inner, width = width, inner
    if width % _MARLIN_TILE == 0 and group in _MARLIN_GROUPS and inner % group == 0:
        return group, True
    while inner % group or width % group:
        group //= 2
        if group < _FINEST_GROUP:
            return None
    return group, False
