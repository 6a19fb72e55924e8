"""Step 3: queries through a shared, narrow projection, one key and value head, experts beside a shared one.

Source: vLLM 0.32 model_executor/models/step3_text.py; sizes by default: transformers_utils/configs/step3_vl.py, Step3TextConfig.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Split
from modelserving.models.families.decoder import LARGEST_WIDTH, Decoder, Shape, put_together, read_shape
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, experts, gated_mlp, norm, rope_cache, router, row
from modelserving.models.families.mixture import Mixture, read_experts
from modelserving.models.families.step3 import listed_layers
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_DEFAULTS = {
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "num_hidden_layers": 61,
    "num_attention_heads": 64,
    "head_dim": 256,
    "vocab_size": 128815,
}
_LENGTH, _SHARED_QUERY, _SHARED_EXPERT = 65536, 2048, 5120
_MIXTURE = Mixture(
    num_experts="moe_num_experts",
    top_k="moe_top_k",
    default_experts=48,
    default_top_k=3,
    default_intermediate=5120,
)
_NAMES = {"max_position_embeddings": "max_position_embedding"}


def describe_text(config: Fields, prefix: str = "") -> Description:
    """Describe the decoder.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    # step3_text.py takes no other number than one.
    named = config.renamed(_NAMES).having(num_key_value_heads=1)
    shape = read_shape(named, _DEFAULTS)
    rope = read_rope(named, _LENGTH)
    # Step3TextConfig's own default is no text, which the model class then fails to cut at its commas.
    if not config.text("moe_layers_enum"):
        raise config.fail("moe_layers_enum", "a text of layer indices with commas between them")
    found = read_experts(config, _MIXTURE, listed_layers(config, shape.num_layers))
    narrow = config.whole("share_q_dim", _SHARED_QUERY, high=LARGEST_WIDTH)
    shared = config.whole("share_expert_dim", _SHARED_EXPERT, high=LARGEST_WIDTH)
    root = f"{prefix}model.layers.*"

    def layer(index: int) -> tuple[Module, ...]:
        return (
            *_attention(shape, narrow, f"{root}.self_attn"),
            *_follow(found, shape, shared, root, index),
            norm(f"{root}.input_layernorm", shape.hidden_size),
            norm(f"{root}.post_attention_layernorm", shape.hidden_size),
        )

    group = AttentionGroup(
        AttentionKind.FULL, tuple(range(shape.num_layers)), shape.num_heads, 1, shape.head_size, shape.head_size
    )
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=layer,
            attention=(group,),
            # Its class never ties them.
            tied=False,
            prefix=prefix,
            buffers=(rope_cache(rope.cache_rows, shape.head_size),),
            experts=found if found.layers else None,
        )
    )


def _attention(shape: Shape, narrow: int, name: str) -> tuple[Module, ...]:
    size, width = shape.head_size, shape.hidden_size
    wide = shape.num_heads * size
    joined = Module(
        f"{name}.qkv_proj",
        Split.REPLICATED,
        width,
        (narrow, size, size),
        quantizable=True,
        sources=tuple(f"{name}.{part}_proj" for part in "qkv"),
    )
    return (
        joined,
        row(f"{name}.o_proj", wide, width),
        norm(f"{name}.inter_norm", narrow),
        column(f"{name}.wq", narrow, wide),
    )


def _follow(found: Experts, shape: Shape, shared: int, root: str, index: int) -> tuple[Module, ...]:
    width = shape.hidden_size
    if index not in found.layers:
        return gated_mlp(f"{root}.mlp", width, shape.intermediate_size)
    return (
        router(f"{root}.moe.gate", width, found.num_experts),
        *experts(f"{root}.moe.experts", found.num_experts, width, found.intermediate_size),
        *gated_mlp(f"{root}.share_expert", width, shared),
    )


FAMILY: Family = Family("step3_text", ("Step3TextForCausalLM",), describe_text)
