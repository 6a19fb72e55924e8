"""Ling and Ring: attention as GLM's, experts with shared ones from a layer on (vLLM 0.32: model_executor/models/bailing_moe.py)."""

from modelserving.models.families.decoder import LARGEST_WIDTH, MOST_EXPERTS, layers_where
from modelserving.models.families.dense import DenseDecoder
from modelserving.models.families.family import Description, Family
from modelserving.models.families.mixture import Mixture
from modelserving.models.families.sparse import describe_sparse
from modelserving.models.fields import Fields


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
    return describe_sparse(
        config,
        decoder,
        mixture,
        lambda layers: layers_where(layers, lambda index: index >= dense),
        lambda found: count * size,
    )


FAMILY = Family(
    "bailing_moe",
    ("BailingMoeForCausalLM", "BailingMoeV2ForCausalLM"),
    _describe,
    (("model.word_embeddings.", "model.embed_tokens."),),
    (
        (".attention.query_key_value", ".self_attn.qkv_proj"),
        (".attention.dense", ".self_attn.o_proj"),
        (".attention.query_layernorm", ".self_attn.q_norm"),
        (".attention.key_layernorm", ".self_attn.k_norm"),
    ),
    cache_scales=False,
)
