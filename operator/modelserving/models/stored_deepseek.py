"""How DeepSeek V4 is quantized: linear layers in blocks of fp8, routed experts in a format of their own.

Source: vLLM 0.32 models/deepseek_v4/quant_config.py (DeepseekV4FP8Config): whatever config.json calls it, `expert_dtype`
decides about experts and about the scales of all else.
"""

from dataclasses import replace

from modelserving.models.fields import Fields
from modelserving.models.quantization import Quantization

DEEPSEEK_V4 = "deepseek_v4"
_METHOD = "deepseek_v4_fp8"
_EXPERTS = "*.ffn.experts"
_MX_GROUP, _NV_GROUP = 32, 16


def read_deepseek_v4(config: Fields, fields: Fields, linear: Quantization) -> Quantization:
    """Read how routed experts are stored.

    Args:
        config: config.json.
        fields: its `quantization_config`.
        linear: what that says of linear layers.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    base = replace(linear, method=_METHOD)
    stored = config.text("expert_dtype", "fp4")
    if stored not in ("fp4", "fp8"):
        raise config.fail("expert_dtype", "fp4 or fp8")
    if stored == "fp8":
        return base
    if fields.text("moe_quant_algo").upper() == "NVFP4":
        experts = Quantization("modelopt_fp4", 4, True, "group", _NV_GROUP, dynamic_activations=True)
    else:
        experts = Quantization(_METHOD, 4, True, "group", _MX_GROUP)
    # Scales of blocks are powers of two, a byte each.
    return replace(base, scale_bytes=1, overrides=(((_EXPERTS,), experts),))
