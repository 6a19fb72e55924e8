"""Small checkpoints as published files have them: names and shapes by family, written with the real safetensors library."""

import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors

from modelserving.models import headers
from modelserving.models.metadata import TensorGroup

Tensors = dict[str, tuple[str, tuple[int, ...]]]
Linear = Callable[[str, int, int], Tensors]

H, INNER, L, V, HEADS, KV = 256, 512, 3, 1024, 4, 2
VISION = {"hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4, "image_size": 28, "patch_size": 14}

TEXT = {
    "hidden_size": H,
    "intermediate_size": INNER,
    "num_hidden_layers": L,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV,
    "vocab_size": V,
    "max_position_embeddings": 512,
    "torch_dtype": "bfloat16",
}


def write(path: Path, tensors: Tensors) -> tuple[TensorGroup, ...]:
    """Write a checkpoint with the real library; read its header back as the format says, and fold it."""
    widths = {"bfloat16": 2, "float16": 2, "float32": 4, "int32": 4, "int64": 8, "float8_e4m3fn": 1, "int8": 1}
    specs, kept = {}, []
    for name, (dtype, shape) in tensors.items():
        size = widths[dtype]
        for extent in shape:
            size *= extent
        buffer = (ctypes.c_char * size)()
        kept.append(buffer)
        specs[name] = safetensors.TensorSpec(
            dtype=dtype, shape=list(shape), data_ptr=ctypes.addressof(buffer), data_len=size
        )
    safetensors.serialize_file(specs, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    return headers.fold((name, entry["dtype"], tuple(entry["shape"])) for name, entry in header.items())


def plain(name: str, rows: int, columns: int) -> Tensors:
    return {f"{name}.weight": ("bfloat16", (rows, columns))}


def awq(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.qweight": ("int32", (columns, rows // 8)),
        f"{name}.qzeros": ("int32", (columns // 64, rows // 8)),
        f"{name}.scales": ("float16", (columns // 64, rows)),
    }


def gptq(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.qweight": ("int32", (columns // 8, rows)),
        f"{name}.qzeros": ("int32", (columns // 64, rows // 8)),
        f"{name}.scales": ("float16", (columns // 64, rows)),
        f"{name}.g_idx": ("int32", (columns,)),
        f"{name}.bias": ("float16", (rows,)),
    }


def fp8_channel(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.weight": ("float8_e4m3fn", (rows, columns)),
        f"{name}.weight_scale": ("bfloat16", (rows, 1)),
    }


def fp8_block(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.weight": ("float8_e4m3fn", (rows, columns)),
        f"{name}.weight_scale_inv": ("float32", (-(-rows // 128), -(-columns // 128))),
    }


def w8a8(name: str, rows: int, columns: int) -> Tensors:
    return {f"{name}.weight": ("int8", (rows, columns)), f"{name}.weight_scale": ("bfloat16", (rows, 1))}


def w4a16(name: str, rows: int, columns: int) -> Tensors:
    return {
        f"{name}.weight_packed": ("int32", (rows, columns // 8)),
        f"{name}.weight_scale": ("bfloat16", (rows, columns // 64)),
        f"{name}.weight_shape": ("int64", (2,)),
    }


def vector(name: str, size: int) -> Tensors:
    return {f"{name}.weight": ("bfloat16", (size,))}


def bias(name: str, size: int) -> Tensors:
    return {f"{name}.bias": ("bfloat16", (size,))}


def decoder(
    root: str = "model.", head: str = "lm_head", linear: Linear = plain, qkv_bias: bool = False, qk_norm: bool = False
) -> Tensors:
    """A decoder as Llama, Qwen and Mistral store it."""
    size = H // HEADS
    found = plain(f"{root}embed_tokens", V, H) | vector(f"{root}norm", H) | plain(head, V, H)
    for index in range(L):
        layer = f"{root}layers.{index}"
        for part, rows in (("q", HEADS * size), ("k", KV * size), ("v", KV * size)):
            found |= linear(f"{layer}.self_attn.{part}_proj", rows, H)
            found |= bias(f"{layer}.self_attn.{part}_proj", rows) if qkv_bias else {}
        found |= linear(f"{layer}.self_attn.o_proj", H, HEADS * size)
        if qk_norm:
            found |= vector(f"{layer}.self_attn.q_norm", size) | vector(f"{layer}.self_attn.k_norm", size)
        found |= linear(f"{layer}.mlp.gate_proj", INNER, H) | linear(f"{layer}.mlp.up_proj", INNER, H)
        found |= linear(f"{layer}.mlp.down_proj", H, INNER)
        found |= vector(f"{layer}.input_layernorm", H) | vector(f"{layer}.post_attention_layernorm", H)
        # Older exports keep this buffer; nothing loads it.
        found |= {f"{layer}.self_attn.rotary_emb.inv_freq": ("float32", (size // 2,))}
    return found


def tower(root: str, layers: int) -> Tensors:
    """A SigLIP encoder, with the post-norm and the pooling head that LLaVA does not use."""
    width, inner = VISION["hidden_size"], VISION["intermediate_size"]
    vision = f"{root}vision_model."
    found: Tensors = {
        f"{vision}embeddings.patch_embedding.weight": ("bfloat16", (width, 3, 14, 14)),
        f"{vision}embeddings.patch_embedding.bias": ("bfloat16", (width,)),
        f"{vision}embeddings.position_embedding.weight": ("bfloat16", (4, width)),
        f"{vision}post_layernorm.weight": ("bfloat16", (width,)),
        f"{vision}post_layernorm.bias": ("bfloat16", (width,)),
        f"{vision}head.probe": ("bfloat16", (1, 1, width)),
    }
    for index in range(layers):
        layer = f"{vision}encoder.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found |= plain(f"{layer}.self_attn.{part}", width, width) | bias(f"{layer}.self_attn.{part}", width)
        found |= plain(f"{layer}.mlp.fc1", inner, width) | bias(f"{layer}.mlp.fc1", inner)
        found |= plain(f"{layer}.mlp.fc2", width, inner) | bias(f"{layer}.mlp.fc2", width)
        for norm in ("layer_norm1", "layer_norm2"):
            found |= vector(f"{layer}.{norm}", width) | bias(f"{layer}.{norm}", width)
    return found


def projector(first: str, second: str) -> Tensors:
    return plain(first, H, VISION["hidden_size"]) | bias(first, H) | plain(second, H, H) | bias(second, H)


def causal(architecture: str, **more: Any) -> dict[str, Any]:
    return {"architectures": [architecture], **TEXT, **more}


def onevision(**more: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlavaOnevisionForConditionalGeneration"],
        "vision_feature_layer": -1,
        "text_config": {"model_type": "qwen2", **TEXT},
        "vision_config": {"model_type": "siglip_vision_model", "num_hidden_layers": 2, **VISION},
        **more,
    }


def compressed(bits: int, kind: str, strategy: str, **weights: Any) -> dict[str, Any]:
    scheme = {"weights": {"num_bits": bits, "type": kind, "strategy": strategy, "symmetric": True, **weights}}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": scheme}, "ignore": ["lm_head"]}
