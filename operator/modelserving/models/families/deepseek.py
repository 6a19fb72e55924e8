"""Multi-head latent attention: DeepSeek V2 to V3.2, Kimi K2, GLM-5 (vLLM 0.32: model_executor/models/deepseek_v2.py)."""

from dataclasses import dataclass, replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, LatentAttention, Module, Section, Split
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_WIDTH,
    MOST_HEADS,
    Decoder,
    Shape,
    layers_where,
    put_together,
    read_shape,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, merged, norm, replicated, rope_cache, row
from modelserving.models.families.mixture import Mixture, layers_from, mixture_modules, read_experts
from modelserving.models.fields import Fields, InvalidFieldError
from modelserving.models.rope import Rope, read_rope

# Defaults: transformers DeepseekV3Config and DeepseekV2Config; the remote code of Kimi K2 has V3's.
_DEFAULTS = {"max_position_embeddings": 4096}
# Indexer keys: fp8 with a float32 scale for every 128 elements (DeepseekV32IndexerCache).
_INDEX_BLOCK, _INDEX_SCALE_BYTES = 128, 4
_MIXTURE = Mixture(
    num_experts="n_routed_experts",
    shared="shared_experts",
    shared_whole=True,
)
_CORRECTED = Mixture(
    num_experts="n_routed_experts",
    shared="shared_experts",
    shared_whole=True,
    correction_bias="gate.e_score_correction_bias",
)


@dataclass(frozen=True, slots=True)
class Mla:
    """Sizes of MLA as config.json states them."""

    latent: LatentAttention
    q_lora_rank: int | None
    index_heads: int
    index_head_dim: int


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells one decoder with DeepSeek's layers from another.

    Attributes:
        router_dtype: dtype of the router's weight where the model's does not decide.
        norms: names of a layer's norms.
        joined: whether the first projections of queries and of keys are one layer.
    """

    router_dtype: str | None = None
    norms: tuple[str, ...] = ("input_layernorm", "post_attention_layernorm")
    joined: bool = True


def describe_latent(config: Fields, prefix: str = "", kind: Kind | None = None) -> Description:
    """Describe a decoder with latent attention.

    Args:
        config: the language model's part of config.json.
        prefix: what vLLM puts before the names of this language model's modules.
        kind: what is particular to the family.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    kind = kind or Kind()
    shape = read_latent_shape(config)
    mla, rope = read_mla(config), read_rope(config, _DEFAULTS["max_position_embeddings"])
    mixture = _CORRECTED if config.text("topk_method") == "noaux_tc" else _MIXTURE
    mixture = replace(mixture, router_dtype=kind.router_dtype)
    found = None
    if config.raw("n_routed_experts") is not None:
        found = read_experts(config, mixture, layers_from(config, shape.num_layers, "first_k_dense_replace"))
    indexed = _indexed_layers(config, mla, shape.num_layers)
    root = f"{prefix}model.layers.*"

    def layer(index: int) -> tuple[Module, ...]:
        return (
            *latent_attention(mla, shape, f"{root}.self_attn", index in indexed, kind.joined),
            *_follow(config, mixture, found, shape, root, index),
            *(norm(f"{root}.{name}", shape.hidden_size) for name in kind.norms),
        )

    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=_groups(mla, shape, indexed),
            tied=config.flag("tie_word_embeddings"),
            prefix=prefix,
            buffers=_caches(config, mla, rope),
            experts=found,
            latent_attention=mla.latent,
        )
    )


def _caches(config: Fields, mla: Mla, rope: Rope) -> tuple[Section, ...]:
    """The rope's cache; beside a sparse indexer a stretched one is float32, and the indexer has its own (deepseek_v32)."""
    width = mla.latent.qk_rope_head_dim
    scaling = config.part("rope_parameters") or config.part("rope_scaling")
    stretched = scaling is not None and (scaling.text("rope_type") or scaling.text("type")) == "yarn"
    if mla.latent.index_topk is None or not stretched:
        return (rope_cache(rope.cache_rows, width),)
    return (rope_cache(rope.cache_rows, width, "float32"),) * 2


def read_latent_shape(config: Fields) -> Shape:
    """Read the sizes of a decoder with latent attention.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    return read_shape(config, _DEFAULTS, head_dim_key=False)


def read_mla(config: Fields) -> Mla:
    """Read the sizes of latent attention.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    nope = config.whole("qk_nope_head_dim", 0, low=0, high=LARGEST_HEAD)
    rope = config.whole("qk_rope_head_dim", 0, low=0, high=LARGEST_HEAD)
    if not nope or not rope:
        raise InvalidFieldError(
            "qk_nope_head_dim and qk_rope_head_dim are 0; DeepSeek is known with latent attention only"
        )
    topk = config.optional_whole("index_topk")
    latent = LatentAttention(
        kv_lora_rank=config.whole("kv_lora_rank", high=LARGEST_WIDTH),
        qk_nope_head_dim=nope,
        qk_rope_head_dim=rope,
        v_head_dim=config.whole("v_head_dim", high=LARGEST_HEAD),
        index_topk=topk,
    )
    if topk is not None and config.raw("q_lora_rank") is None:
        raise config.fail("q_lora_rank", "a whole number: the sparse indexer needs it")
    return Mla(
        latent,
        config.optional_whole("q_lora_rank"),
        config.whole("index_n_heads", 0 if topk is None else None, low=0, high=MOST_HEADS),
        config.whole("index_head_dim", 0 if topk is None else None, low=0, high=LARGEST_HEAD),
    )


def _indexed_layers(config: Fields, mla: Mla, num_layers: int) -> tuple[int, ...]:
    """Layers with an indexer of their own; the others use an earlier one's choice (index_topk_freq, _pattern)."""
    if mla.latent.index_topk is None:
        return ()
    pattern = config.raw("index_topk_pattern")
    if isinstance(pattern, str | list):
        return layers_where(num_layers, lambda index: index >= len(pattern) or pattern[index] != "S")
    frequency = config.whole("index_topk_freq", 1, high=num_layers)
    offset = config.whole("index_skip_topk_offset", 2, low=0, high=num_layers)
    return layers_where(num_layers, lambda index: max(index - offset + 1, 0) % frequency == 0)


def latent_attention(mla: Mla, shape: Shape, name: str, indexed: bool, joined: bool = True) -> tuple[Module, ...]:
    """Modules of latent attention.

    Args:
        mla: its sizes.
        shape: the decoder's.
        name: vLLM's name of the attention.
        indexed: whether it has a sparse indexer.
        joined: whether the first projections of queries and of keys are one layer.
    """
    latent, width = mla.latent, shape.hidden_size
    query = shape.num_heads * (latent.qk_nope_head_dim + latent.qk_rope_head_dim)
    into = latent.kv_lora_rank + latent.qk_rope_head_dim
    modules: list[Module] = []
    if mla.q_lora_rank is None:
        modules += [replicated(f"{name}.kv_a_proj_with_mqa", width, into), column(f"{name}.q_proj", width, query)]
    else:
        first = merged(f"{name}.fused_qkv_a_proj", width, (mla.q_lora_rank, into), ("q_a_proj", "kv_a_proj_with_mqa"))
        apart = (replicated(first.sources[0], width, mla.q_lora_rank), replicated(first.sources[1], width, into))
        modules += [
            *((replace(first, split=Split.REPLICATED),) if joined else apart),
            norm(f"{name}.q_a_layernorm", mla.q_lora_rank),
            column(f"{name}.q_b_proj", mla.q_lora_rank, query),
        ]
    absorbed = column(
        f"{name}.kv_b_proj", latent.kv_lora_rank, shape.num_heads * (latent.qk_nope_head_dim + latent.v_head_dim)
    )
    modules += [
        norm(f"{name}.kv_a_layernorm", latent.kv_lora_rank),
        # mla_attention.py keeps W_UK and W_UV in the model's dtype where kv_b_proj is quantized.
        Module(
            absorbed.name, Split.COLUMN, absorbed.in_features, absorbed.out_features, quantizable=True, keeps_copy=True
        ),
        row(f"{name}.o_proj", shape.num_heads * latent.v_head_dim, width),
    ]
    return (*modules, *(_indexer(mla, width, f"{name}.indexer") if indexed else ()))


def _indexer(mla: Mla, width: int, name: str) -> tuple[Module, ...]:
    size = mla.index_head_dim
    weights = Module(
        f"{name}.wk_weights_proj",
        Split.REPLICATED,
        width,
        (size, mla.index_heads),
        sources=(f"{name}.wk", f"{name}.weights_proj"),
    )
    key_norm = Module(f"{name}.k_norm", Split.REPLICATED, 1, (size,), bias=True, fixed_dtype="float32")
    return (replicated(f"{name}.wq_b", mla.q_lora_rank or 0, size * mla.index_heads), weights, key_norm)


def _follow(
    config: Fields, mixture: Mixture, found: Experts | None, shape: Shape, root: str, index: int
) -> tuple[Module, ...]:
    if found is None or index not in found.layers:
        return gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size)
    shared = config.whole("n_shared_experts", 0, low=0, high=LARGEST_HEAD)
    return mixture_modules(mixture, found, shape.hidden_size, root, shared * found.intermediate_size)


def latent_group(mla: Mla, shape: Shape, layers: tuple[int, ...]) -> AttentionGroup:
    """What latent attention keeps: one vector for all heads."""
    size = mla.latent.kv_lora_rank + mla.latent.qk_rope_head_dim
    return AttentionGroup(AttentionKind.MLA, layers, shape.num_heads, 1, size, 0)


def _groups(mla: Mla, shape: Shape, indexed: tuple[int, ...]) -> tuple[AttentionGroup, ...]:
    latent = latent_group(mla, shape, tuple(range(shape.num_layers)))
    if not indexed:
        return (latent,)
    key = mla.index_head_dim + mla.index_head_dim // _INDEX_BLOCK * _INDEX_SCALE_BYTES
    index = AttentionGroup(AttentionKind.MLA, indexed, mla.index_heads, 1, key, 0, fixed_dtype="uint8", is_indexer=True)
    return (latent, index)


def _lite(config: Fields) -> Description:
    """GLM 4.7 Flash: DeepSeek's attention, GLM's router."""
    return describe_latent(config.replaced({"topk_method": "noaux_tc"}), kind=Kind(router_dtype="float32"))


LITE = Family("glm4_moe_lite", ("Glm4MoeLiteForCausalLM",), _lite)
FAMILY = Family(
    name="deepseek",
    architectures=(
        "DeepseekV2ForCausalLM",
        "DeepseekV3ForCausalLM",
        "DeepseekV32ForCausalLM",
        "GlmMoeDsaForCausalLM",
    ),
    describe=describe_latent,
)
