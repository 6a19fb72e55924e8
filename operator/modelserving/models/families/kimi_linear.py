"""Kimi Linear and Kimi K3: delta attention with a gate for each channel, latent attention in every fourth layer, experts.

Source: vLLM 0.32 models/kimi_k3/nvidia/{model,kda,mla}.py, layers/mamba/gdn/kimi_gdn_linear_attn.py. There is no rotary
embedding.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import (
    AttentionGroup,
    AttentionKind,
    Experts,
    Module,
    Section,
    Split,
    Stage,
    State,
    StatePart,
    VisionTower,
)
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_WIDTH,
    MOST_HEADS,
    Decoder,
    Shape,
    layers_where,
    put_together,
)
from modelserving.models.families.deepseek import Mla, latent_attention, latent_group, read_latent_shape, read_mla
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import (
    column,
    experts,
    gated_mlp,
    norm,
    qkv,
    replicated,
    router,
    row,
    sharded_vector,
)
from modelserving.models.families.mixture import Mixture, layers_from, mixture_modules, read_experts
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_MIXTURE = Mixture(
    top_k="num_experts_per_token",
    block="block_sparse_moe",
    parts=("w1", "w3", "w2"),
    correction_bias="gate.e_score_correction_bias",
    shared="shared_experts",
)
# Rows of K3's joined projection are filled up to a multiple of this on each rank (kda.py).
_JOINED_MULTIPLE = 16
# Intermediate size of an expert that a rank has at least (model.py, min_moe_intermediate_per_partition).
_LEAST_SHARE = 256
_LARGEST_VISION = 2**16
_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class _Delta:
    """Delta attention.

    Attributes:
        full_gate: whether the output's gate is as wide as queries (K3), instead of low-rank (Kimi Linear).
    """

    heads: int
    size: int
    kernel: int
    full_gate: bool


def describe_text(config: Fields, prefix: str = "") -> Description:
    """Describe the language model.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    shape, mla = read_latent_shape(config), read_mla(config)
    linear = config.required_part("linear_attn_config")
    delta = _Delta(
        heads=linear.whole("num_heads", high=MOST_HEADS),
        size=linear.whole("head_dim", high=LARGEST_HEAD),
        kernel=linear.whole("short_conv_kernel_size", 4, low=2, high=64),
        full_gate=linear.flag("use_full_rank_gate"),
    )
    full = _full_layers(linear, shape.num_layers)
    found = read_experts(config, _MIXTURE, layers_from(config, shape.num_layers, "first_k_dense_replace"))
    root = f"{prefix}model.layers.*"

    def layer(index: int) -> tuple[Module, ...]:
        name = f"{root}.self_attn"
        first = _latent(config, mla, shape, name) if index in full else _delta_modules(delta, shape.hidden_size, name)
        follow = (
            _mixture(config, shape, found, root)
            if index in found.layers
            else gated_mlp(f"{root}.mlp", shape.hidden_size, shape.intermediate_size)
        )
        norms = (norm(f"{root}.{part}", shape.hidden_size) for part in ("input_layernorm", "post_attention_layernorm"))
        return (*first, *follow, *norms, *_residuals(config, shape, root))

    recurrent = layers_where(shape.num_layers, lambda index: index not in full)
    ones = Module(f"{root}.self_attn._one_scale", Split.REPLICATED, 1, (1,), fixed_dtype="float32")
    described = put_together(
        Decoder(
            shape=shape,
            rope=read_rope(config, 4096),
            layer=layer,
            attention=tuple(
                group for group in (_delta_group(delta, recurrent), latent_group(mla, shape, full)) if group.layers
            ),
            tied=config.flag("tie_word_embeddings"),
            prefix=prefix,
            buffers=(
                Section(Stage.LAYERS, (ones,), layers=full, buffers=True),
                *_decode_buffers(delta, recurrent, root),
            ),
            experts=found if found.layers else None,
            latent_attention=mla.latent,
        )
    )
    if config.raw("attn_res_block_size") is None:
        return described
    last = (
        norm(f"{prefix}model.output_attn_res_norm", shape.hidden_size),
        replicated(f"{prefix}model.output_attn_res_proj", shape.hidden_size, 1, quantizable=False),
    )
    return replace(described, sections=(*described.sections, Section(Stage.LAST, last)))


def _full_layers(linear: Fields, num_layers: int) -> tuple[int, ...]:
    """Layers are counted from 1."""
    counted = linear.wholes("full_attn_layers", 1, low=1, high=num_layers)
    return tuple(sorted({number - 1 for number in counted}))


def _latent(config: Fields, mla: Mla, shape: Shape, name: str) -> tuple[Module, ...]:
    modules = latent_attention(mla, shape, name, False)
    if not config.flag("mla_use_output_gate"):
        return modules
    gate = shape.num_heads * mla.latent.v_head_dim
    if mla.q_lora_rank is None:
        return (*modules, column(f"{name}.g_proj", shape.hidden_size, gate))
    joined = modules[0]
    fused = Module(
        f"{name}.fused_qkv_a_g_proj",
        Split.QKV,
        shape.hidden_size,
        (*joined.out_features, gate),
        heads=(1, 1, shape.num_heads),
        quantizable=True,
        sources=(*joined.sources, f"{name}.g_proj"),
    )
    return (fused, *modules[1:])


def _delta_modules(delta: _Delta, width: int, name: str) -> tuple[Module, ...]:
    inner, heads = delta.heads * delta.size, delta.heads
    wide = 4 if delta.full_gate else 3
    parts = ("q_proj", "k_proj", "v_proj", *(("g_proj",) if delta.full_gate else ()), "f_a_proj", "b_proj")
    joined = Module(
        f"{name}.in_proj_qkvgfab",
        Split.QKV,
        width,
        (*((inner,) * wide), delta.size, heads),
        heads=(*((heads,) * wide), 1, heads),
        quantizable=True,
        sources=tuple(f"{name}.{part}" for part in parts),
        row_multiple=_JOINED_MULTIPLE if delta.full_gate else 1,
    )
    conv = Module(
        f"{name}.conv1d",
        Split.COLUMN,
        delta.kernel,
        (inner, inner, inner),
        fixed_dtype="float32",
        sources=tuple(f"{name}.{part}_conv1d" for part in "qkv"),
    )
    gate: tuple[Module, ...] = ()
    if not delta.full_gate:
        gate = (replicated(f"{name}.g_a_proj", width, delta.size), column(f"{name}.g_b_proj", delta.size, inner))
    return (
        sharded_vector(f"{name}.dt_bias", inner, "float32"),
        sharded_vector(f"{name}.A_log", heads, "float32"),
        joined,
        column(f"{name}.f_b_proj", delta.size, inner),
        conv,
        *gate,
        norm(f"{name}.o_norm", delta.size),
        row(f"{name}.o_proj", inner, width),
    )


def _decode_buffers(delta: _Delta, layers: tuple[int, ...], root: str) -> tuple[Section, ...]:
    """Copies of the convolution and the norm in the layout that K3's fused decoding reads."""
    if not delta.full_gate or not layers:
        return ()
    copies = (
        Module(
            f"{root}.self_attn.decode_conv1d_weight",
            Split.COLUMN,
            3 * delta.kernel,
            (delta.heads * delta.size,),
            fixed_dtype="float32",
        ),
        Module(f"{root}.self_attn.decode_norm_weight", Split.REPLICATED, 1, (delta.size,), fixed_dtype="float32"),
    )
    return (Section(Stage.LAYERS, copies, layers=layers, buffers=True),)


def _delta_group(delta: _Delta, layers: tuple[int, ...]) -> AttentionGroup:
    conv = State("conv", (StatePart(delta.heads, 3 * delta.size * (delta.kernel - 1)),))
    recurrent = State("recurrent", (StatePart(delta.heads, delta.size * delta.size),), "float32")
    return AttentionGroup(
        AttentionKind.MAMBA,
        layers,
        delta.heads,
        0,
        0,
        0,
        states=(conv, recurrent),
        checkpoint_blocks=1 if delta.full_gate else 0,
    )


def _mixture(config: Fields, shape: Shape, found: Experts, root: str) -> tuple[Module, ...]:
    """Experts, in K3 behind a projection to a narrower width."""
    shared = config.whole("num_shared_experts", 0, low=0, high=MOST_HEADS) * found.intermediate_size
    least = config.whole("min_moe_intermediate_per_partition", _LEAST_SHARE, high=LARGEST_WIDTH)
    modules = _filled(mixture_modules(_MIXTURE, found, shape.hidden_size, root, shared), least)
    narrow = config.optional_whole("routed_expert_hidden_size")
    if narrow is None:
        return modules
    name = f"{root}.{_MIXTURE.block}"
    between = [
        replicated(f"{name}.routed_expert_down_proj", shape.hidden_size, narrow, quantizable=False),
        replicated(f"{name}.routed_expert_up_proj", narrow, shape.hidden_size, quantizable=False),
    ]
    if config.flag("latent_moe_use_norm"):
        between.append(norm(f"{name}.routed_expert_norm", narrow))
    routed = experts(f"{name}.experts", found.num_experts, narrow, found.intermediate_size, parts=_MIXTURE.parts)
    return (*(module for module in modules if not module.experts), *between, *_filled(routed, least))


def _filled(modules: tuple[Module, ...], least: int) -> tuple[Module, ...]:
    """Experts whose share is never narrower than so much."""
    return tuple(replace(module, least_share=least) if module.experts else module for module in modules)


def _residuals(config: Fields, shape: Shape, root: str) -> tuple[Module, ...]:
    """Weights by which K3 mixes what earlier blocks of layers gave."""
    if config.raw("attn_res_block_size") is None:
        return ()
    return tuple(
        module
        for part in ("self_attention", "mlp")
        for module in (
            norm(f"{root}.{part}_res_norm", shape.hidden_size),
            router(f"{root}.{part}_res_proj", shape.hidden_size, 1),
        )
    )


def _multimodal(config: Fields) -> Description:
    text = describe_text(config.required_part("text_config"), "language_model.")
    vision = config.required_part("vision_config")
    width = vision.whole("vt_hidden_size", 1024, high=_LARGEST_VISION)
    inner = vision.whole("vt_intermediate_size", 4096, high=_LARGEST_VISION)
    heads = vision.whole("vt_num_attention_heads", 12, high=width)
    layers = vision.whole("vt_num_hidden_layers", 27, high=512)
    attention = vision.whole("qkv_hidden_size", heads * (width // heads), high=_LARGEST_VISION)
    patch = vision.whole("patch_size", 14, high=1024)
    rows = vision.whole("init_pos_emb_height", 64, high=4096) * vision.whole("init_pos_emb_width", 64, high=4096)
    frames = vision.whole("init_pos_emb_time", 4, high=4096)
    sides = vision.wholes("merge_kernel_size", 2, low=1, high=64)
    merge = sides[0] * sides[-1]
    if attention % heads:
        raise vision.fail("qkv_hidden_size", f"a multiple of vt_num_attention_heads ({heads})")
    root, size, joined = "vision_tower", attention // heads, width * merge
    name = f"{root}.encoder.blocks.*"
    front = (
        replicated(f"{root}.patch_embed.proj", _CHANNELS * patch**2, width, quantizable=False),
        Module(f"{root}.patch_embed.pos_emb", Split.REPLICATED, width, (rows,)),
    )
    time = Module(f"{root}.patch_embed.pos_emb.time_weight", Split.REPLICATED, width, (frames,), fixed_dtype="float32")
    block = (
        norm(f"{name}.norm0", width),
        norm(f"{name}.norm1", width),
        column(f"{name}.mlp.fc0", width, inner, quantizable=False),
        row(f"{name}.mlp.fc1", inner, width, quantizable=False),
        replace(qkv(f"{name}.wqkv", width, (heads, heads), (size, size), parts=("wqkv",)), quantizable=False),
        row(f"{name}.wo", attention, width, quantizable=False),
    )
    tail = (
        norm(f"{root}.encoder.final_layernorm", width),
        replicated("mm_projector.linear_1", joined, joined, quantizable=False),
        replicated("mm_projector.linear_2", joined, text.hidden_size, quantizable=False),
        norm("mm_projector.post_norm", text.hidden_size),
    )
    parts = (
        Section(Stage.EVERY, front, tower=True),
        Section(Stage.EVERY, (time,), tower=True, buffers=True),
        Section(Stage.EVERY, block, repeats=layers, tower=True, shard_heads=heads),
        Section(Stage.EVERY, tail, tower=True),
    )
    tokens = max(1, rows // merge)
    tower = VisionTower(width, inner, layers, heads, rows, tokens, tokens, ("vision_chunk",))
    return replace(text, sections=(*parts, *text.sections), vision=tower)


_PREFIXES = (("mm_projector.proj.0.", "mm_projector.linear_1."), ("mm_projector.proj.2.", "mm_projector.linear_2."))
FAMILIES = (
    Family("kimi_linear", ("KimiLinearForCausalLM",), describe_text),
    Family("kimi_k3", ("KimiK3ForConditionalGeneration",), _multimodal, _PREFIXES),
)
