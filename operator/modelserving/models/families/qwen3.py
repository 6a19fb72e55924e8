"""Qwen 3, dense: queries and keys normed per head, no biases (vLLM 0.32: model_executor/models/qwen3.py)."""

from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

# Defaults: transformers Qwen3Config.
DECODER = DenseDecoder(
    defaults={
        "head_dim": 128,
        "max_position_embeddings": 32768,
        "num_key_value_heads": 32,
        "sliding_window": 4096,
        "vocab_size": 151936,
    },
    qkv_bias="attention_bias",
    qk_norm="head",
    sliding_window_switch="use_sliding_window",
)


def _describe(config: Fields) -> Description:
    return describe_dense(config, DECODER)


FAMILY = Family(name="qwen3", architectures=("Qwen3ForCausalLM",), describe=_describe)
