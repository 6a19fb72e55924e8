"""Nemotron-H and Nemotron 3: Mamba 2, attention, MLPs and experts in a pattern, one of them a layer.

Source: vLLM 0.32 model_executor/models/nemotron_h.py. There is no rotary embedding.
"""

from dataclasses import dataclass

from modelserving.models.facts import AttentionGroup, AttentionKind, Experts, Module, Section, Stage
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_VOCABULARY,
    LARGEST_WIDTH,
    MOST_HEADS,
    MOST_LAYERS,
    Decoder,
    Shape,
    layers_where,
    put_together,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, experts, norm, qkv, replicated, row
from modelserving.models.families.mixture import Mixture, mixture_modules, read_experts
from modelserving.models.families.recurrent import Mamba2, conv_view, mamba2_group, mamba2_modules
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

MAMBA, ATTENTION, MLP, MOE = "M", "*", "-", "E"
KINDS = {"mamba": MAMBA, "attention": ATTENTION, "mlp": MLP, "moe": MOE}
_MIXTURE = Mixture(
    num_experts="n_routed_experts",
    block="mixer",
    parts=("", "up_proj", "down_proj"),
    correction_bias="gate.e_score_correction_bias",
    router_float32=True,
)
LAYER = "model.layers.*"
# mamba_ssm_cache_dtype; where config.json has none, float32 (models/config.py, NemotronHForCausalLMConfig).
_STATE_DTYPES = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the layers, of every kind."""

    shape: Shape
    mamba: Mamba2
    found: Experts | None
    latent_size: int | None
    shared_size: int
    mlp_bias: bool


def _describe(config: Fields) -> Description:
    pattern = _pattern(config)
    sizes = read_sizes(config, pattern)
    shape = sizes.shape
    mamba = layers_where(shape.num_layers, lambda index: pattern[index] == MAMBA)
    full = layers_where(shape.num_layers, lambda index: pattern[index] == ATTENTION)
    groups = (
        mamba2_group(sizes.mamba, mamba),
        AttentionGroup(AttentionKind.FULL, full, shape.num_heads, shape.num_kv_heads, shape.head_size, shape.head_size),
    )
    by_kind = {kind: layer_modules(sizes, kind) for kind in set(pattern)}
    view = conv_view(mamba2_modules(sizes.mamba, f"{LAYER}.mixer")[0])
    return put_together(
        Decoder(
            shape=shape,
            rope=read_rope(config, 4096),
            layer=lambda index: by_kind[pattern[index]],
            attention=tuple(group for group in groups if group.layers),
            tied=config.flag("tie_word_embeddings"),
            buffers=(Section(Stage.LAYERS, (view,), layers=mamba, buffers=True),) if mamba else (),
            final_norm="norm_f",
            experts=sizes.found,
        )
    )


def _pattern(config: Fields) -> str:
    """Kind of each layer, from `hybrid_override_pattern` or its newer spelling `layers_block_type`."""
    kinds = config.texts("layers_block_type") if config.raw("hybrid_override_pattern") is None else ()
    if any(kind not in KINDS for kind in kinds):
        raise config.fail("layers_block_type", f"a list of {', '.join(KINDS)}")
    pattern = "".join(KINDS[kind] for kind in kinds) or config.text("hybrid_override_pattern")
    if not pattern or len(pattern) > MOST_LAYERS or set(pattern) - {MAMBA, ATTENTION, MLP, MOE}:
        raise config.fail("hybrid_override_pattern", f"up to {MOST_LAYERS} letters M, *, - and E, one a layer")
    return pattern


def read_sizes(config: Fields, pattern: str) -> Sizes:
    """Read the sizes of layers of the kinds in a pattern.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    hidden = config.whole("hidden_size", high=LARGEST_WIDTH)
    heads = config.whole("num_attention_heads", high=MOST_HEADS)
    kv_heads = config.whole("num_key_value_heads", 8, high=MOST_HEADS)
    if heads % kv_heads:
        raise config.fail("num_key_value_heads", f"a divisor of num_attention_heads ({heads})")
    inner = config.wholes("intermediate_size", 21504, low=1, high=LARGEST_WIDTH)
    shape = Shape(
        hidden_size=hidden,
        intermediate_size=max(inner),
        vocab_size=config.whole("vocab_size", 131072, high=LARGEST_VOCABULARY),
        num_layers=len(pattern),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_size=config.whole("head_dim", max(1, hidden // heads), high=LARGEST_HEAD),
    )
    mamba = Mamba2(
        hidden_size=hidden,
        num_heads=config.whole("mamba_num_heads", high=MOST_HEADS),
        head_dim=config.whole("mamba_head_dim", high=LARGEST_HEAD),
        num_groups=config.whole("n_groups", 8, high=MOST_HEADS),
        state_size=config.whole("ssm_state_size", 128, high=LARGEST_HEAD),
        conv_kernel=config.whole("conv_kernel", 4, low=2, high=64),
        conv_bias=config.flag("use_conv_bias", True),
        bias=config.flag("use_bias"),
        state_dtype=_STATE_DTYPES.get(config.text("mamba_ssm_cache_dtype"), "float32"),
    )
    sparse = layers_where(len(pattern), lambda index: pattern[index] == MOE)
    found = read_experts(config, _MIXTURE, sparse) if sparse else None
    shared = config.whole("n_shared_experts", 0, low=0, high=MOST_HEADS) if sparse else 0
    size = config.whole("moe_shared_expert_intermediate_size", high=LARGEST_WIDTH) if shared else 0
    latent = config.optional_whole("moe_latent_size") if sparse else None
    return Sizes(shape, mamba, found, latent, shared * size, config.flag("mlp_bias"))


def layer_modules(sizes: Sizes, kind: str) -> tuple[Module, ...]:
    """Modules of a layer of a kind."""
    shape, name = sizes.shape, f"{LAYER}.mixer"
    if kind == MAMBA:
        modules = mamba2_modules(sizes.mamba, name)
    elif kind == ATTENTION:
        heads, size = (shape.num_heads, shape.num_kv_heads), (shape.head_size, shape.head_size)
        modules = (
            qkv(f"{name}.qkv_proj", shape.hidden_size, heads, size),
            row(f"{name}.o_proj", shape.num_heads * shape.head_size, shape.hidden_size),
        )
    elif kind == MOE and sizes.found is not None:
        modules = _mixture(sizes, sizes.found, name)
    else:
        modules = _mlp(name, shape.hidden_size, shape.intermediate_size, sizes.mlp_bias)
    return (*modules, norm(f"{LAYER}.norm", shape.hidden_size))


def _mlp(name: str, width: int, inner: int, bias: bool = False) -> tuple[Module, ...]:
    return (column(f"{name}.up_proj", width, inner, bias), row(f"{name}.down_proj", inner, width, bias))


def _mixture(sizes: Sizes, found: Experts, name: str) -> tuple[Module, ...]:
    width, narrow = sizes.shape.hidden_size, sizes.latent_size
    gate = mixture_modules(_MIXTURE, found, width, LAYER)[:2]
    shared = _mlp(f"{name}.shared_experts", width, sizes.shared_size) if sizes.shared_size else ()
    latent: tuple[Module, ...] = ()
    if narrow is not None:
        latent = (
            replicated(f"{name}.fc1_latent_proj", width, narrow, sizes.mlp_bias),
            replicated(f"{name}.fc2_latent_proj", narrow, width, sizes.mlp_bias),
        )
    routed = experts(
        f"{name}.experts",
        found.num_experts,
        narrow or width,
        found.intermediate_size,
        gated=False,
        parts=_MIXTURE.parts,
    )
    return (*gate, *shared, *latent, *routed)


PREFIXES = (("backbone.embeddings.", "model.embed_tokens."), ("backbone.", "model."))
RENAMES = ((".A_log", ".A"),)
UNUSED = ("mtp.",)
FAMILY = Family("nemotron_h", ("NemotronHForCausalLM",), _describe, PREFIXES, RENAMES, UNUSED)
