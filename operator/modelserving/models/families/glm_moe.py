"""GLM 4.5 to 4.7 with experts (vLLM 0.32: model_executor/models/glm4_moe.py)."""

from modelserving.models.families.decoder import MOST_EXPERTS, read_shape
from modelserving.models.families.dense import DenseDecoder, describe_dense
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import gated_mlp
from modelserving.models.families.mixture import Mixture, either, layers_from, mixture_modules, read_experts
from modelserving.models.fields import Fields

# Defaults: transformers Glm4MoeConfig.
_DEFAULTS = {
    "max_position_embeddings": 131072,
    "num_attention_heads": 96,
    "num_key_value_heads": 8,
    "vocab_size": 151552,
    "head_dim": 128,
}
_MIXTURE = Mixture(
    num_experts="n_routed_experts",
    default_experts=128,
    default_top_k=8,
    default_intermediate=1408,
    shared="shared_experts",
    correction_bias="gate.e_score_correction_bias",
    router_dtype="float32",
)


def _describe(config: Fields) -> Description:
    decoder = DenseDecoder(
        defaults=_DEFAULTS, qkv_bias="attention_bias", qk_norm="head" if config.flag("use_qk_norm") else ""
    )
    shape = read_shape(config, _DEFAULTS)
    found = read_experts(config, _MIXTURE, layers_from(config, shape.num_layers, "first_k_dense_replace"))
    shared = config.whole("n_shared_experts", 1, low=0, high=MOST_EXPERTS) * found.intermediate_size
    follow = either(
        found.layers,
        lambda root: mixture_modules(_MIXTURE, found, shape.hidden_size, root, shared),
        lambda root: gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size),
    )
    return describe_dense(config, decoder, feed_forward=follow, experts=found)


FAMILY = Family(name="glm4_moe", architectures=("Glm4MoeForCausalLM",), describe=_describe)
