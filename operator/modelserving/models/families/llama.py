"""Llama 2 and 3, and what vLLM builds with the same class (vLLM 0.32: model_executor/models/llama.py)."""

from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

# Defaults: transformers LlamaConfig. attention_bias reaches all four projections.
DECODER = DenseDecoder(
    defaults={"max_position_embeddings": 2048},
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    mlp_bias="mlp_bias",
)


def _describe(config: Fields) -> Description:
    return describe_dense(config, DECODER)


FAMILY = Family(name="llama", architectures=("LlamaForCausalLM", "LLaMAForCausalLM"), describe=_describe)
