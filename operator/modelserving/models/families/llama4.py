"""Llama 4: chunked attention with a full layer in every fourth, experts with one shared, and a vision tower.

Source: vLLM 0.32 model_executor/models/llama4.py, mllama4.py.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage, VisionTower
from modelserving.models.families.decoder import LARGEST_WIDTH, Decoder, Shape, layers_where, put_together, read_shape
from modelserving.models.families.dense import DenseDecoder, attention_modules
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, gated_mlp, norm, qkv, rope_cache, row
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

# Defaults: transformers Llama4TextConfig and Llama4VisionConfig.
_DECODER = DenseDecoder(
    defaults={
        "hidden_size": 5120,
        "intermediate_size": 8192,
        "num_hidden_layers": 48,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 202048,
        "max_position_embeddings": 131072,
    }
)
_MIXTURE = Mixture(
    num_experts="num_local_experts",
    intermediate_size="intermediate_size",
    default_experts=16,
    default_top_k=1,
    default_intermediate=8192,
    block="feed_forward",
    gate="router",
    shared="shared_expert",
    shared_whole=True,
)
_DENSE_SIZE, _CHUNK, _NO_ROPE_INTERVAL = 16384, 8192, 4
_PREFIX = "language_model."
_LARGEST_VISION = 2**16


@dataclass(frozen=True, slots=True)
class _Vision:
    width: int
    inner: int
    layers: int
    heads: int
    pixels: int
    patches: int
    ratio: float
    projector_in: int
    projector_out: int
    out: int


def _text(config: Fields, prefix: str) -> Description:
    shape = read_shape(config, _DECODER.defaults)
    step = config.whole("interleave_moe_layer_step", 1, low=0, high=shape.num_layers)
    sparse = layers_where(shape.num_layers, lambda index: step > 0 and (index + 1) % step == 0)
    found = read_experts(config, _MIXTURE, sparse)
    rope = read_rope(config, _DECODER.defaults["max_position_embeddings"])
    dense_size = config.whole("intermediate_size_mlp", _DENSE_SIZE, high=LARGEST_WIDTH)
    root = f"{prefix}model.layers.*"

    def layer(index: int) -> tuple[Module, ...]:
        if index in sparse:
            follow = mixture_modules(_MIXTURE, found, shape.hidden_size, root, found.intermediate_size)
        else:
            follow = gated_mlp(f"{root}.feed_forward", shape.hidden_size, dense_size)
        norms = (norm(f"{root}.{name}", shape.hidden_size) for name in ("input_layernorm", "post_attention_layernorm"))
        return (*attention_modules(config, _DECODER, shape, root), *follow, *norms)

    return put_together(
        Decoder(
            shape=replace(shape, intermediate_size=max(dense_size, found.intermediate_size)),
            rope=rope,
            layer=layer,
            attention=_groups(config, shape),
            tied=config.flag("tie_word_embeddings"),
            prefix=prefix,
            buffers=(rope_cache(rope.cache_rows, shape.head_size),),
            experts=found,
        )
    )


def _groups(config: Fields, shape: Shape) -> tuple[AttentionGroup, ...]:
    """Layers with a rope attend within chunks, those without on everything."""
    interval = config.whole("no_rope_layer_interval", _NO_ROPE_INTERVAL, high=shape.num_layers)
    chunk = config.whole("attention_chunk_size", _CHUNK)
    if isinstance(config.raw("no_rope_layers"), list) and config.raw("no_rope_layers"):
        chunked = config.indices_marked("no_rope_layers", shape.num_layers)
    else:
        chunked = layers_where(shape.num_layers, lambda index: (index + 1) % interval != 0)
    full = tuple(sorted(set(range(shape.num_layers)) - set(chunked)))
    size = shape.head_size
    sizes = (shape.num_heads, shape.num_kv_heads, size, size)
    groups = (
        AttentionGroup(AttentionKind.CHUNKED_LOCAL, chunked, *sizes, attention_chunk_size=chunk),
        AttentionGroup(AttentionKind.FULL, full, *sizes),
    )
    return tuple(group for group in groups if group.layers)


def _read_vision(vision: Fields) -> _Vision:
    width = vision.whole("hidden_size", 768, high=_LARGEST_VISION)
    heads = vision.whole("num_attention_heads", 16, high=width)
    if width % heads:
        raise vision.fail("num_attention_heads", f"a divisor of hidden_size ({width})")
    patch = vision.whole("patch_size", 14, high=1024)
    image = vision.whole("image_size", 448, high=_LARGEST_VISION)
    return _Vision(
        width=width,
        inner=vision.whole("intermediate_size", 5632, high=_LARGEST_VISION),
        layers=vision.whole("num_hidden_layers", 34, high=512),
        heads=heads,
        pixels=vision.whole("num_channels", 3, high=64) * patch**2,
        patches=(image // patch) ** 2 + 1,
        ratio=vision.number("pixel_shuffle_ratio", 0.5, 0.05, 1.0),
        projector_in=vision.whole("projector_input_dim", 4096, high=_LARGEST_VISION),
        projector_out=vision.whole("projector_output_dim", 4096, high=_LARGEST_VISION),
        out=vision.whole("vision_output_dim", 7680, high=_LARGEST_VISION),
    )


def _tower(vision: _Vision, text_width: int) -> tuple[Section, ...]:
    root, width = "vision_model", vision.width
    size = width // vision.heads
    name = f"{root}.model.layers.*"
    front = (
        column(f"{root}.patch_embedding.linear", vision.pixels, width, quantizable=False),
        Module(f"{root}.class_embedding", Split.REPLICATED, 1, (width,)),
        Module(f"{root}.positional_embedding_vlm", Split.REPLICATED, width, (vision.patches,)),
        norm(f"{root}.layernorm_pre", width, True),
        norm(f"{root}.layernorm_post", width, True),
    )
    layer = (
        replace(
            qkv(f"{name}.self_attn.qkv_proj", width, (vision.heads, vision.heads), (size, size), True),
            quantizable=False,
        ),
        row(f"{name}.self_attn.o_proj", width, width, True, quantizable=False),
        column(f"{name}.mlp.fc1", width, vision.inner, True, quantizable=False),
        row(f"{name}.mlp.fc2", vision.inner, width, True, quantizable=False),
        norm(f"{name}.input_layernorm", width, True),
        norm(f"{name}.post_attention_layernorm", width, True),
    )
    adapter = (
        column(f"{root}.vision_adapter.mlp.fc1", vision.inner, vision.projector_in, quantizable=False),
        row(f"{root}.vision_adapter.mlp.fc2", vision.projector_in, vision.projector_out, quantizable=False),
        column("multi_modal_projector.linear_1", vision.out, text_width, quantizable=False),
    )
    # A cache of complex numbers, 8 bytes each: as many float32 twice.
    cache = Module(f"{root}.rotary_emb", Split.REPLICATED, size, (vision.patches,), fixed_dtype="float32")
    return (
        Section(Stage.EVERY, front, tower=True),
        Section(Stage.EVERY, layer, repeats=vision.layers, tower=True),
        Section(Stage.EVERY, adapter, tower=True),
        Section(Stage.EVERY, (cache,), tower=True, buffers=True),
    )


def _multimodal(config: Fields) -> Description:
    text = _text(config.part("text_config") or config, _PREFIX)
    vision = _read_vision(config.part("vision_config") or Fields({}, "vision_config"))
    tokens = max(1, int((vision.patches - 1) * vision.ratio**2))
    facts = VisionTower(
        hidden_size=vision.width,
        intermediate_size=vision.inner,
        num_layers=vision.layers,
        num_heads=vision.heads,
        patches_per_image=vision.patches,
        tokens_per_image=tokens,
        max_tokens_per_item=17 * tokens,
        data_parallel=True,
    )
    note = (
        () if config.has("vision_config") else ("config.json has no vision_config: the tower is transformers' default",)
    )
    return replace(text, sections=(*_tower(vision, text.hidden_size), *text.sections), vision=facts, assumptions=note)


TEXT = Family("llama4_text", ("Llama4ForCausalLM",), lambda config: _text(config, ""))
MULTIMODAL = Family(
    "llama4",
    ("Llama4ForConditionalGeneration",),
    _multimodal,
    # A pixel shuffle adapter and projector keep their names; vLLM leaves out the tower's `model.` of newer exports.
    (("model.language_model.", "language_model.model."), ("model.vision_model.", "vision_model.")),
)
