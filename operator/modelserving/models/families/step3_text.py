"""Step 3: one key and value head whole on every rank, queries made of a narrow vector, experts beside a shared one.

Source: vLLM 0.32 model_executor/models/step3_text.py. Defaults: transformers_utils/configs/step3_vl.py, Step3TextConfig.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Split
from modelserving.models.families.decoder import LARGEST_HEAD, LARGEST_WIDTH, Decoder, Shape, put_together, read_shape
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, rope_cache, row
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_DEFAULTS = {
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "num_attention_heads": 64,
    "num_hidden_layers": 61,
    "vocab_size": 128815,
    "head_dim": 256,
}
_POSITIONS, _SHARED_SIZE, _QUERY_SIZE = 65536, 5120, 2048
_MIXTURE = Mixture(
    num_experts="moe_num_experts",
    top_k="moe_top_k",
    default_experts=48,
    default_top_k=3,
    default_intermediate=5120,
    block="moe",
)
_ROOT = "model.layers.*"


def _describe(config: Fields) -> Description:
    shape = read_shape(config.replaced({"num_key_value_heads": 1}), _DEFAULTS)
    found = read_experts(config, _MIXTURE, _sparse(config, shape.num_layers))
    queries = config.whole("share_q_dim", _QUERY_SIZE, high=LARGEST_HEAD * 64)
    named = config.renamed({"max_position_embeddings": "max_position_embedding"})
    rope = read_rope(named.or_else({"max_seq_len": _POSITIONS}), _POSITIONS)
    size = shape.head_size
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: (
                *_attention(shape, queries),
                *_follow(config, shape, found, index),
                *(
                    norm(f"{_ROOT}.{name}", shape.hidden_size)
                    for name in ("input_layernorm", "post_attention_layernorm")
                ),
            ),
            attention=(
                AttentionGroup(AttentionKind.FULL, tuple(range(shape.num_layers)), shape.num_heads, 1, size, size),
            ),
            tied=config.flag("tie_word_embeddings"),
            buffers=(rope_cache(rope.cache_rows, size),),
            experts=found,
        )
    )


def _sparse(config: Fields, num_layers: int) -> tuple[int, ...]:
    """Layers with experts: a text of numbers with commas; a config without it does not run in 0.32."""
    listed = config.text("moe_layers_enum").split(",")
    if not all(index.strip().isdecimal() and len(index.strip()) <= 6 for index in listed):
        raise config.fail("moe_layers_enum", "a text of layer indices with commas between them")
    return tuple(sorted({index for index in map(int, listed) if index < num_layers}))


def _attention(shape: Shape, queries: int) -> tuple[Module, ...]:
    name, size, width = f"{_ROOT}.self_attn", shape.head_size, shape.hidden_size
    parts = tuple(f"{name}.{part}" for part in ("q_proj", "k_proj", "v_proj"))
    into = Module(f"{name}.qkv_proj", Split.REPLICATED, width, (queries, size, size), quantizable=True, sources=parts)
    return (
        into,
        row(f"{name}.o_proj", shape.num_heads * size, width),
        norm(f"{name}.inter_norm", queries),
        column(f"{name}.wq", queries, shape.num_heads * size),
    )


def _follow(config: Fields, shape: Shape, found: Experts, index: int) -> tuple[Module, ...]:
    width = shape.hidden_size
    if index not in found.layers:
        return gated_mlp(f"{_ROOT}.mlp", width, shape.intermediate_size)
    shared = config.whole("share_expert_dim", _SHARED_SIZE, high=LARGEST_WIDTH)
    return (*mixture_modules(_MIXTURE, found, width, _ROOT), *gated_mlp(f"{_ROOT}.share_expert", width, shared))


FAMILY = Family("step3_text", ("Step3TextForCausalLM",), _describe)
