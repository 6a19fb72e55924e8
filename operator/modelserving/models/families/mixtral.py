"""Mixtral: Mistral with experts in every layer (vLLM 0.32: model_executor/models/mixtral.py)."""

from dataclasses import replace

from modelserving.models.families import mistral
from modelserving.models.families.decoder import read_shape
from modelserving.models.families.dense import describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields

# Defaults: transformers MixtralConfig.
_DECODER = replace(
    mistral.DECODER,
    defaults={"max_position_embeddings": 131072, "num_key_value_heads": 8, "intermediate_size": 14336},
)
_MIXTURE = Mixture(
    num_experts="num_local_experts",
    intermediate_size="intermediate_size",
    default_experts=8,
    default_top_k=2,
    default_intermediate=14336,
    block="block_sparse_moe",
    parts=("w1", "w3", "w2"),
)


def _describe(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    found = read_experts(config, _MIXTURE, tuple(range(shape.num_layers)))
    return describe_dense(
        config,
        _DECODER,
        feed_forward=lambda index, root: mixture_modules(_MIXTURE, found, shape.hidden_size, root),
        experts=found,
    )


FAMILY = Family(name="mixtral", architectures=("MixtralForCausalLM",), describe=_describe)
