"""Quantization methods of vLLM, as data.

Source: vLLM 0.32 model_executor/layers/quantization/ (get_min_capability and get_supported_act_dtypes of each class, and
the kernels behind them), config/quantization.py for the methods that work on the fly.
"""

from dataclasses import dataclass

from modelserving.engine.config import EngineRefusal
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import Quantization

_HALF = ("bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Method:
    """One quantization method.

    Attributes:
        names: values of `--quantization` and `quant_method` that mean it.
        min_capability: oldest compute capability with a kernel, tens and units: 75 is 7.5.
        act_dtypes: model dtypes it runs with.
        online: whether it quantizes a 16-bit checkpoint while loading.
        experts_only: whether it leaves dense layers as they are.
        input_multiple: every rank's share of a layer's inputs must be a multiple of this; 1: no rule.
        experts_capability: oldest compute capability for routed experts, where that is newer.
        misreads: whether it takes 16-bit weights for quantized ones: vLLM starts, and answers nonsense.
    """

    names: tuple[str, ...]
    min_capability: int
    act_dtypes: tuple[str, ...] = _HALF
    online: bool = False
    experts_only: bool = False
    input_multiple: int = 1
    experts_capability: int = 0
    misreads: bool = False

    def capability_for(self, has_experts: bool) -> int:
        """Oldest compute capability for a model with or without routed experts."""
        return max(self.min_capability, self.experts_capability if has_experts else 0)


METHODS: tuple[Method, ...] = (
    Method(("fp8_per_tensor",), 75, online=True),
    Method(("fp8_per_block",), 75, online=True),
    # layers/quantization/online/fp8.py: needs per-token activation scales, which Marlin does not have.
    Method(("fp8_per_channel",), 89, online=True),
    Method(("mxfp8",), 75, online=True, input_multiple=32),
    Method(("mxfp4",), 75, online=True, input_multiple=32),
    Method(("int8_per_channel_weight_only",), 75, online=True, experts_only=True),
    Method(("experts_int8",), 80, online=True, experts_only=True),
    # layers/quantization/online/nvfp4.py asks for Blackwell when it meets experts, not before.
    Method(("nvfp4_per_token",), 75, online=True, experts_only=True, experts_capability=100),
    Method(("deepseek_v4_fp8",), 75, online=True, misreads=True),
    Method(("fp8",), 75),
    Method(("awq", "auto_awq", "awq_marlin"), 75),
    # The class gates at 6.0, its Marlin kernels at 7.5.
    Method(("gptq", "auto_gptq", "gptq_marlin"), 75),
    # The class gates at 7.0, its schemes at 7.5 and later.
    Method(("compressed-tensors",), 75, act_dtypes=(*_HALF, "float32")),
    Method(("modelopt", "modelopt_mxfp8"), 80),
    Method(("modelopt_fp4", "modelopt_mixed"), 75),
    Method(("gpt_oss_mxfp4",), 80, act_dtypes=("bfloat16",)),
    Method(("quark", "inc", "moe_wna16", "torchao", "bitsandbytes", "gguf"), 70),
)
_BY_NAME = {name: method for method in METHODS for name in method.names}
# `--quantization` values that a 16-bit checkpoint cannot satisfy: they read files that only a quantized one has.
NEEDS_FILES = frozenset(
    [
        "awq",
        "auto_awq",
        "awq_marlin",
        "gptq",
        "auto_gptq",
        "gptq_marlin",
        "modelopt",
        "modelopt_fp4",
        "modelopt_mxfp8",
        "modelopt_mixed",
        "moe_wna16",
        "inc",
        "torchao",
        "quark",
        "compressed-tensors",
        "online",
        "humming",
        "gpt_oss_mxfp4",
    ]
)
# Stored methods that stay whatever `--quantization` says (models/config.py, GptOssForCausalLMConfig).
KEEPS_OWN = frozenset({"gpt_oss_mxfp4"})
# Refused without --allow-deprecated-quantization (config/model.py).
DEPRECATED = frozenset({"fbgemm_fp8", "fp_quant"})
# On a 16-bit checkpoint `fp8` is an older name of this (model_loader/weight_utils.py, since the shorthands exist).
_ONLINE_ALIASES = {"fp8": "fp8_per_tensor"}


def method_of(name: str) -> Method | None:
    """The method behind a name, or None if nobody described it."""
    return _BY_NAME.get(name)


def same_method(first: str, second: str) -> bool:
    """Whether two names mean one method."""
    method = method_of(first)
    return first == second or (method is not None and second in method.names)


def may_be_requantized(stored: Quantization) -> bool:
    """Whether vLLM lets a method that quantizes on the fly act on what such a checkpoint left in 16 bits."""
    return stored.method.startswith("modelopt")


def online_method(flag: str | None, stored: Quantization | None) -> str | None:
    """Method that quantizes on the fly under a `--quantization` flag; None where the checkpoint decides."""
    if flag is None or (stored is not None and not may_be_requantized(stored)):
        return None
    name = _ONLINE_ALIASES.get(flag, flag) if stored is None else flag
    method = method_of(name)
    return name if method is not None and method.online else None


def on_the_fly_method(precision: str, gpu: Gpu, version: EngineVersion) -> str | EngineRefusal:
    """`--quantization` value that quantizes a 16-bit checkpoint to a precision while loading.

    Args:
        precision: of the API; only "fp8" exists for dense models.
        gpu: the GPU.
        version: facts of the vLLM version.
    """
    if precision != "fp8":
        return EngineRefusal(
            "NoOnTheFlyMethod",
            f"vLLM cannot make {precision} from a 16-bit checkpoint while loading; name a stored {precision} checkpoint "
            "in variants, or ask for fp8.",
        )
    name = "fp8_per_tensor" if "fp8_per_tensor" in version.online_methods else "fp8"
    method = _BY_NAME["fp8_per_tensor"]
    if capability_number(gpu) < method.min_capability:
        return too_old(name, method.min_capability, gpu)
    return name


def capability_number(gpu: Gpu) -> int:
    """Compute capability as vLLM compares it: 8.9 is 89."""
    major, minor = gpu.compute_capability
    return major * 10 + minor


def too_old(name: str, capability: int, gpu: Gpu) -> EngineRefusal:
    """Refusal of a method on a GPU older than the compute capability that it needs."""
    return EngineRefusal(
        "QuantizationNeedsNewerGpu",
        f"{name} needs compute capability {capability / 10:.1f} or newer; {gpu.product} has "
        f"{capability_number(gpu) / 10:.1f}. Use fp16, or a newer GPU.",
    )
