"""PLaMo 3: norms before and after attention and MLP, a rope and a window for most layers (vLLM 0.32: model_executor/models/plamo3.py)."""

from modelserving.models.families.decoder import read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import rope_cache
from modelserving.models.fields import Fields

# Defaults: Plamo3Config, which the checkpoints bring.
_DECODER = DenseDecoder(
    defaults={"num_key_value_heads": 4, "head_dim": 128, "max_position_embeddings": 2048, "sliding_window": 2048},
    qk_norm="head",
    norms=("pre_mixer_norm", "post_mixer_norm", "pre_mlp_norm", "post_mlp_norm"),
    attention_name="mixer",
    qkv_parts=("qkv_proj",),
    mlp="joined",
    tied=True,
)
_PATTERN = 8


def _describe(config: Fields) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    window = config.whole("window_size", _DECODER.defaults["sliding_window"])
    pattern = config.whole("sliding_window_pattern", _PATTERN, high=1024)
    kinds = ["sliding_attention" if (index + 1) % pattern else "full_attention" for index in range(shape.num_layers)]
    positions = config.whole("max_position_embeddings", _DECODER.defaults["max_position_embeddings"])
    # Windows have an unscaled rope of their own.
    local = (rope_cache(positions, shape.head_size),) if len(set(kinds)) > 1 else ()
    return describe_dense(config.replaced({"layer_types": kinds, "sliding_window": window}), _DECODER, buffers=local)


FAMILY = Family(
    "plamo3",
    ("Plamo3ForCausalLM",),
    _describe,
    # Layers stand a level deeper, in vLLM as in the checkpoint.
    (("model.layers.layers.", "model.layers."),),
)
