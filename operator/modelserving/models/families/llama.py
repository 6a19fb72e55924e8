"""Llama 2 and 3, and what vLLM builds with the same class (vLLM 0.32: model_executor/models/llama.py)."""

from dataclasses import replace

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


def biased(config: Fields, decoder: DenseDecoder = DECODER) -> DenseDecoder:
    """The decoder with the biases that this class reads: `attention_bias` or `bias`, for the queries rather `qkv_bias`."""
    output = config.flag("attention_bias") or config.flag("bias")
    return replace(decoder, qkv_bias=config.flag("qkv_bias", output), output_bias=output)


def _describe(config: Fields) -> Description:
    return describe_dense(config, biased(config))


# Names that vLLM builds with the class of Llama.
_ARCHITECTURES = (
    "LlamaForCausalLM",
    "LLaMAForCausalLM",
    "InternLM3ForCausalLM",
    "IQuestCoderForCausalLM",
    "TeleChat3ForCausalLM",
    "TeleFLMForCausalLM",
)
FAMILY = Family(name="llama", architectures=_ARCHITECTURES, describe=_describe)
