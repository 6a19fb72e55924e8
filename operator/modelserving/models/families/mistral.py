"""Mistral: Llama's modules, a sliding window where config.json has one (vLLM 0.32: model_executor/models/mistral.py)."""

from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

# Defaults: transformers MistralConfig; an absent sliding_window means 4096, null means none.
DECODER = DenseDecoder(defaults={"max_position_embeddings": 131072, "num_key_value_heads": 8, "sliding_window": 4096})


# Defaults: transformers Ministral3Config.
_MINISTRAL3 = DenseDecoder(
    defaults={
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 34,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 131072,
        "max_position_embeddings": 262144,
    }
)


def _describe(config: Fields) -> Description:
    return describe_dense(config, DECODER)


MINISTRAL3 = Family("ministral3", ("Ministral3ForCausalLM",), lambda config: describe_dense(config, _MINISTRAL3))
FAMILY = Family(name="mistral", architectures=("MistralForCausalLM",), describe=_describe)
