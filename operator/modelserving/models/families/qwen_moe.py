"""Qwen with experts: Qwen 1.5 and 2 MoE, Qwen 3 MoE (vLLM 0.32: model_executor/models/qwen2_moe.py, qwen3_moe.py)."""

from dataclasses import replace

from modelserving.models.families import qwen2, qwen3
from modelserving.models.families.decoder import LARGEST_WIDTH, read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp
from modelserving.models.families.mixture import Mixture, either, mixture_modules, read_experts, sparse_layers
from modelserving.models.fields import Fields

# Defaults: transformers Qwen2MoeConfig and Qwen3MoeConfig.
_QWEN2_DECODER = replace(
    qwen2.DECODER,
    qkv_bias=True,
    defaults={**qwen2.DECODER.defaults, "num_key_value_heads": 16, "intermediate_size": 5632},
)
_QWEN2 = Mixture(
    default_experts=60,
    default_top_k=4,
    default_intermediate=1408,
    shared="shared_expert",
    shared_gate=True,
)
_QWEN2_SHARED = 5632
QWEN3_DECODER = replace(
    qwen3.DECODER,
    defaults={**qwen3.DECODER.defaults, "num_key_value_heads": 4, "intermediate_size": 6144},
)
QWEN3 = replace(_QWEN2, default_experts=128, default_top_k=8, default_intermediate=768, router_quantizable=True)


def describe_mixture(
    config: Fields, decoder: DenseDecoder, mixture: Mixture, shared_default: int, prefix: str = ""
) -> Description:
    """Describe a Qwen decoder with experts.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    shape = read_shape(config, decoder.defaults, decoder.head_dim_key)
    found = read_experts(config, mixture, sparse_layers(config, shape.num_layers))
    shared = config.whole("shared_expert_intermediate_size", shared_default, low=0, high=LARGEST_WIDTH)
    follow = either(
        found.layers,
        lambda root: mixture_modules(mixture, found, shape.hidden_size, root, shared),
        lambda root: gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size),
    )
    return describe_dense(config, decoder, prefix, follow, found)


QWEN2_MOE = Family(
    name="qwen2_moe",
    architectures=("Qwen2MoeForCausalLM",),
    describe=lambda config: describe_mixture(config, _QWEN2_DECODER, _QWEN2, _QWEN2_SHARED),
)
QWEN3_MOE = Family(
    name="qwen3_moe",
    architectures=("Qwen3MoeForCausalLM",),
    describe=lambda config: describe_mixture(config, QWEN3_DECODER, QWEN3, 0),
)
