"""Cohere Command: one norm a layer, attention and MLP side by side, tied embeddings (vLLM 0.32: model_executor/models/commandr.py)."""

from dataclasses import replace

from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.fields import Fields

# Defaults: transformers CohereConfig and Cohere2Config.
_DEFAULTS = {
    "hidden_size": 8192,
    "intermediate_size": 22528,
    "num_hidden_layers": 40,
    "num_attention_heads": 64,
    "vocab_size": 256000,
    "max_position_embeddings": 8192,
}
_COHERE = DenseDecoder(
    defaults=_DEFAULTS,
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    norms=("input_layernorm",),
    tied=True,
)
COHERE2_DECODER = replace(_COHERE, defaults={**_DEFAULTS, "sliding_window": 4096}, sliding_pattern=4)


def _describe(config: Fields) -> Description:
    longest = config.optional_whole("model_max_length")
    # The rope's cache goes as far, where it is stated.
    long = config if longest is None else config.replaced({"max_position_embeddings": longest})
    return describe_dense(long, replace(_COHERE, qk_norm="heads" if config.flag("use_qk_norm") else ""))


def window_and_newest(described: Description) -> Description:
    """A window of so many tokens besides the newest: one more than stated."""
    return replace(
        described,
        attention=tuple(
            replace(group, sliding_window=group.sliding_window + 1) if group.sliding_window else group
            for group in described.attention
        ),
    )


COHERE = Family("cohere", ("CohereForCausalLM",), _describe)
COHERE2 = Family(
    "cohere2",
    ("Cohere2ForCausalLM",),
    lambda config: window_and_newest(describe_dense(config, COHERE2_DECODER)),
)
