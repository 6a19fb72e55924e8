"""MiniCPM 3: low-rank projections as in latent attention, keys and values kept for every head.

Source: vLLM 0.32 model_executor/models/minicpm3.py. Defaults: transformers MiniCPM3Config.
"""

from modelserving.models.facts import AttentionGroup, AttentionKind, Module
from modelserving.models.families.decoder import LARGEST_HEAD, LARGEST_WIDTH, Decoder, put_together, read_shape
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, replicated, rope_cache, row
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_DEFAULTS = {
    "hidden_size": 2560,
    "intermediate_size": 6400,
    "num_hidden_layers": 62,
    "num_attention_heads": 40,
    "vocab_size": 73448,
    "max_position_embeddings": 32768,
}
_ROOT = "model.layers.*"


def _describe(config: Fields) -> Description:
    shape = read_shape(config.replaced({"num_key_value_heads": config.raw("num_attention_heads")}), _DEFAULTS, False)
    rope = read_rope(config, _DEFAULTS["max_position_embeddings"])
    rank = config.whole("q_lora_rank", 768, high=LARGEST_WIDTH)
    latent = config.whole("kv_lora_rank", 256, high=LARGEST_WIDTH)
    plain = config.whole("qk_nope_head_dim", 64, high=LARGEST_HEAD)
    rotary = config.whole("qk_rope_head_dim", 32, high=LARGEST_HEAD)
    width, heads = shape.hidden_size, shape.num_heads
    value = config.whole("v_head_dim", width // heads, high=LARGEST_HEAD)
    name, size = f"{_ROOT}.self_attn", plain + rotary
    modules: tuple[Module, ...] = (
        replicated(f"{name}.q_a_proj", width, rank),
        norm(f"{name}.q_a_layernorm", rank),
        column(f"{name}.q_b_proj", rank, heads * size),
        replicated(f"{name}.kv_a_proj_with_mqa", width, latent + rotary),
        norm(f"{name}.kv_a_layernorm", latent),
        column(f"{name}.kv_b_proj", latent, heads * (plain + value)),
        row(f"{name}.o_proj", heads * value, width),
        *gated_mlp(f"{_ROOT}.mlp", width, shape.intermediate_size),
        norm(f"{_ROOT}.input_layernorm", width),
        norm(f"{_ROOT}.post_attention_layernorm", width),
    )
    everything = tuple(range(shape.num_layers))
    return put_together(
        Decoder(
            shape=shape,
            rope=rope,
            layer=lambda index: modules,
            # Values are filled up to the size of keys.
            attention=(AttentionGroup(AttentionKind.FULL, everything, heads, heads, size, size),),
            tied=config.flag("tie_word_embeddings", True),
            buffers=(rope_cache(rope.cache_rows, rotary),),
        )
    )


FAMILY = Family("minicpm3", ("MiniCPM3ForCausalLM",), _describe)
