"""Mixture of experts: a router, routed experts and perhaps shared ones in place of the MLP.

Source: vLLM 0.32 model_executor/models/{mixtral,qwen2_moe,qwen3_moe,glm4_moe,minimax_m2}.py, layers/fused_moe/layer.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from modelserving.models.facts import Experts, Module, Split
from modelserving.models.families.decoder import LARGEST_WIDTH, MOST_EXPERTS, layers_where
from modelserving.models.families.layers import experts, gated_mlp, router
from modelserving.models.fields import Fields


@dataclass(frozen=True, slots=True)
class Mixture:
    """What tells one mixture from another.

    Attributes:
        num_experts, top_k, intermediate_size: keys in config.json.
        default_experts, default_top_k, default_intermediate: transformers' defaults; None for none.
        block: vLLM's name of the mixture in a layer.
        gate: name of the router in it.
        parts: names of gate, up and down of an expert in the checkpoint.
        correction_bias: name of the router's float32 bias that corrects scores, if it has one; and whether it is beside
            the router instead of in it.
        router_dtype: dtype of the router's weight where the model's does not decide.
        router_float32: whether scores are computed in float32, which some GPUs do from a 16-bit weight.
        router_quantizable: whether quantization reaches the router.
        shared: name of the shared experts; empty for none.
        shared_gate: whether a gate weighs them.
        shared_whole: whether ranks that take different tokens to the experts hold shared ones whole.
        gelu: whether experts gate by GELU.
    """

    num_experts: str = "num_experts"
    top_k: str = "num_experts_per_tok"
    intermediate_size: str = "moe_intermediate_size"
    default_experts: int | None = None
    default_top_k: int | None = None
    default_intermediate: int | None = None
    block: str = "mlp"
    gate: str = "gate"
    parts: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    correction_bias: str = ""
    correction_dtype: str | None = "float32"
    router_dtype: str | None = None
    router_float32: bool = False
    router_quantizable: bool = False
    shared: str = ""
    shared_gate: bool = False
    shared_whole: bool = False
    gelu: bool = False


def read_experts(config: Fields, mixture: Mixture, layers: tuple[int, ...]) -> Experts:
    """Read the sizes of routed experts.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    count = config.whole(mixture.num_experts, mixture.default_experts, high=MOST_EXPERTS)
    return Experts(
        num_experts=count,
        top_k=config.whole(mixture.top_k, mixture.default_top_k, high=count),
        intermediate_size=config.whole(mixture.intermediate_size, mixture.default_intermediate, high=LARGEST_WIDTH),
        layers=layers,
        gelu=mixture.gelu,
    )


def mixture_modules(
    mixture: Mixture, found: Experts, width: int, root: str, shared_size: int = 0, bias: bool = False
) -> tuple[Module, ...]:
    """Modules of the mixture of a layer.

    Args:
        mixture: names.
        found: sizes.
        width: hidden size.
        root: name of the layer.
        shared_size: intermediate size of the shared experts together; 0 for none.
        bias: whether router and experts have biases.
    """
    name = f"{root}.{mixture.block}"
    gate = router(f"{name}.{mixture.gate}", width, found.num_experts, bias)
    modules = [
        replace(
            gate,
            fixed_dtype=mixture.router_dtype,
            float32_product=mixture.router_float32,
            quantizable=mixture.router_quantizable,
        )
    ]
    if mixture.correction_bias:
        modules.append(
            Module(
                f"{name}.{mixture.correction_bias}",
                Split.REPLICATED,
                1,
                (found.num_experts,),
                fixed_dtype=mixture.correction_dtype,
            )
        )
    if mixture.shared and shared_size:
        if mixture.shared_gate:
            modules.append(router(f"{name}.{mixture.shared}_gate", width, 1))
        shared = gated_mlp(f"{name}.{mixture.shared}", width, shared_size)
        modules.extend(replace(module, whole_for_tokens=mixture.shared_whole) for module in shared)
    routed = experts(
        f"{name}.experts", found.num_experts, width, found.intermediate_size, bias=bias, parts=mixture.parts
    )
    return (*modules, *routed)


def sparse_layers(config: Fields, num_layers: int) -> tuple[int, ...]:
    """Layers with experts by `decoder_sparse_step` and `mlp_only_layers` (Qwen).

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    step = config.whole("decoder_sparse_step", 1, high=num_layers)
    dense = config.indices("mlp_only_layers", num_layers)
    return layers_where(num_layers, lambda index: index not in dense and (index + 1) % step == 0)


def layers_from(config: Fields, num_layers: int, first: str, frequency: str = "moe_layer_freq") -> tuple[int, ...]:
    """Layers with experts from the one that a key names on, every so many-th (DeepSeek, GLM).

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    start = config.whole(first, 0, low=0, high=num_layers)
    pattern = config.raw(frequency)
    if isinstance(pattern, list | tuple):
        marked = config.indices_marked(frequency, num_layers)
        return tuple(index for index in marked if index >= start)
    step = config.whole(frequency, 1, high=num_layers)
    return layers_where(num_layers, lambda index: index >= start and index % step == 0)


def either(
    sparse: tuple[int, ...], mixed: Callable[[str], tuple[Module, ...]], dense: Callable[[str], tuple[Module, ...]]
) -> Callable[[int, str], tuple[Module, ...]]:
    """What follows attention in each layer: experts in some, an MLP in the others."""
    held = frozenset(sparse)
    return lambda index, root: mixed(root) if index in held else dense(root)
