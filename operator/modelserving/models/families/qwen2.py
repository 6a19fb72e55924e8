"""Qwen 1.5 to 2.5: biases on query, key and value (vLLM 0.32: model_executor/models/qwen2.py)."""

from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

# Defaults: transformers Qwen2Config.
DECODER = DenseDecoder(
    defaults={
        "max_position_embeddings": 32768,
        "num_key_value_heads": 32,
        "sliding_window": 4096,
        "vocab_size": 151936,
    },
    qkv_bias=True,
    head_dim_key=False,
    sliding_window_switch="use_sliding_window",
)


def _describe(config: Fields) -> Description:
    return describe_dense(config, DECODER)


FAMILY = Family(name="qwen2", architectures=("Qwen2ForCausalLM",), describe=_describe)
