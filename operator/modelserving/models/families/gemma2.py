"""Gemma 2: four norms a layer, windows in every other layer, tied embeddings (vLLM 0.32: model_executor/models/gemma2.py)."""

from modelserving.models.facts import Module, Section, Split, Stage
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)
# Buffer that scales the embeddings: one number in the model's dtype.
NORMALIZER = Section(Stage.EVERY, (Module("model.normalizer", Split.REPLICATED, 1, (1,)),), buffers=True)
# Defaults: transformers Gemma2Config; the head is always tied (gemma2.py asserts it).
DECODER = DenseDecoder(
    defaults={
        "max_position_embeddings": 8192,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "sliding_window": 4096,
        "vocab_size": 256000,
    },
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    sliding_pattern=2,
    norms=NORMS,
    tied=True,
)


def _describe(config: Fields) -> Description:
    return describe_dense(config, DECODER, buffers=(NORMALIZER,))


FAMILY = Family(name="gemma2", architectures=("Gemma2ForCausalLM",), describe=_describe)
