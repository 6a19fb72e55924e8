"""Ling, Ring, Sarvam, Param 2: attention as GLM's, experts with shared ones from a layer on.

Source: vLLM 0.32 model_executor/models/bailing_moe.py, sarvam.py, param2moe.py.
"""

from modelserving.models.families.decoder import LARGEST_WIDTH, MOST_EXPERTS, layers_where
from modelserving.models.families.dense import DenseDecoder
from modelserving.models.families.family import Description, Family
from modelserving.models.families.mixture import Mixture
from modelserving.models.families.sparse import describe_sparse
from modelserving.models.fields import Fields


def read_mixture(config: Fields) -> tuple[Mixture, int]:
    """Names of the experts, and the size of the shared ones together.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    mixture = Mixture(
        shared="shared_experts",
        correction_bias="gate.expert_bias" if config.flag("moe_router_enable_expert_bias") else "",
        router_dtype="float32" if config.text("router_dtype") == "fp32" else None,
    )
    size = config.whole(
        "moe_shared_expert_intermediate_size",
        config.whole("moe_intermediate_size", high=LARGEST_WIDTH),
        high=LARGEST_WIDTH,
    )
    count = config.whole("num_shared_experts", 0, low=0, high=MOST_EXPERTS)
    return mixture, count * size


def _describe(config: Fields) -> Description:
    dense = config.whole("first_k_dense_replace", 0, low=0)
    rms = config.flag("use_rmsnorm")
    decoder = DenseDecoder(
        defaults={"max_position_embeddings": 16384},
        qkv_bias=config.flag("use_bias") or config.flag("use_qkv_bias"),
        output_bias="use_bias",
        mlp_bias="use_bias",
        qk_norm=("head" if rms else "biased") if config.flag("use_qk_norm") else "",
        qkv_parts=("qkv_proj",),
    )
    mixture, shared = read_mixture(config)
    return describe_sparse(
        config,
        decoder,
        mixture,
        lambda layers: layers_where(layers, lambda index: index >= dense),
        lambda found: shared,
    )


def _param2(config: Fields) -> Description:
    """Param 2: shared experts of one stated size together, a float32 router (param2moe.py)."""
    dense = config.whole("first_k_dense_replace", 1, low=0)
    decoder = DenseDecoder(
        defaults={"max_position_embeddings": 16384},
        qkv_bias="use_qkv_bias",
        output_bias="use_bias",
        qk_norm="head" if config.flag("use_qk_norm") else "",
        qkv_parts=("qkv_proj",),
    )
    biased = config.flag("moe_router_enable_expert_bias", True)
    mixture = Mixture(
        shared="shared_experts",
        correction_bias="gate.expert_bias" if biased else "",
        router_dtype="float32",
    )
    count = config.whole("num_shared_experts", 1, low=0, high=MOST_EXPERTS)
    size = config.whole("moe_intermediate_size", high=LARGEST_WIDTH)
    together = config.whole("moe_shared_expert_intermediate_size", count * size or 1, high=LARGEST_WIDTH)
    return describe_sparse(
        config,
        decoder,
        mixture,
        lambda layers: layers_where(layers, lambda index: index >= dense),
        lambda found: together if count else 0,
    )


_PREFIXES = (("model.word_embeddings.", "model.embed_tokens."),)
_NAMES = (
    (".attention.query_key_value", ".self_attn.qkv_proj"),
    (".attention.dense", ".self_attn.o_proj"),
    (".attention.query_layernorm", ".self_attn.q_norm"),
    (".attention.key_layernorm", ".self_attn.k_norm"),
    (".gate.e_score_correction_bias", ".gate.expert_bias"),
)
PARAM2 = Family("param2moe", ("Param2MoEForCausalLM",), _param2, _PREFIXES, _NAMES)
FAMILY = Family(
    "bailing_moe",
    ("BailingMoeForCausalLM", "BailingMoeV2ForCausalLM", "SarvamMoEForCausalLM"),
    _describe,
    _PREFIXES,
    _NAMES,
    cache_scales=False,
)
