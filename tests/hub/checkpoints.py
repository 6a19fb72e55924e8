"""Small checkpoints of real shape."""

from typing import Any

from hub.loopback_hub import safetensors_file
from modelserving.models.metadata import CheckpointRef

TINY = CheckpointRef("org/tiny")

HIDDEN, LAYERS, INTERMEDIATE, VOCAB = 64, 4, 128, 512

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INTERMEDIATE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": VOCAB,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.0",
    "eos_token_id": 2,
}

Tensors = dict[str, tuple[str, tuple[int, ...]]]


def layer(index: int) -> Tensors:
    """Tensors of one decoder layer."""
    shapes: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj.weight": (HIDDEN, HIDDEN),
        "self_attn.k_proj.weight": (HIDDEN // 2, HIDDEN),
        "self_attn.v_proj.weight": (HIDDEN // 2, HIDDEN),
        "self_attn.o_proj.weight": (HIDDEN, HIDDEN),
        "mlp.gate_proj.weight": (INTERMEDIATE, HIDDEN),
        "mlp.up_proj.weight": (INTERMEDIATE, HIDDEN),
        "mlp.down_proj.weight": (HIDDEN, INTERMEDIATE),
        "input_layernorm.weight": (HIDDEN,),
        "post_attention_layernorm.weight": (HIDDEN,),
    }
    return {f"model.layers.{index}.{name}": ("bfloat16", shape) for name, shape in shapes.items()}


ENDS: Tensors = {
    "model.embed_tokens.weight": ("bfloat16", (VOCAB, HIDDEN)),
    "model.norm.weight": ("bfloat16", (HIDDEN,)),
    "lm_head.weight": ("bfloat16", (VOCAB, HIDDEN)),
}
ALL: Tensors = ENDS | {name: spec for index in range(LAYERS) for name, spec in layer(index).items()}
PARAMETERS = 2 * VOCAB * HIDDEN + HIDDEN + LAYERS * (3 * HIDDEN * HIDDEN + 3 * HIDDEN * INTERMEDIATE + 2 * HIDDEN)


def shards() -> dict[str, bytes]:
    """The checkpoint in two files, as large ones come."""
    halves = [ENDS | layer(0) | layer(1), layer(2) | layer(3)]
    return {
        f"model-{number:05}-of-{len(halves):05}.safetensors": safetensors_file(half)
        for number, half in enumerate(halves, start=1)
    }
