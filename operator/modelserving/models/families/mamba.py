"""Mamba 1 and 2 alone: no attention, no positions (vLLM 0.32: model_executor/models/mamba.py, mamba2.py)."""

from modelserving.models.facts import AttentionGroup, Module, Section, Stage
from modelserving.models.families.decoder import (
    LARGEST_HEAD,
    LARGEST_VOCABULARY,
    LARGEST_WIDTH,
    MOST_HEADS,
    MOST_LAYERS,
    Decoder,
    Shape,
    put_together,
)
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import norm
from modelserving.models.families.recurrent import (
    Mamba1,
    Mamba2,
    conv_view,
    mamba1_group,
    mamba1_modules,
    mamba2_group,
    mamba2_modules,
)
from modelserving.models.fields import Fields
from modelserving.models.rope import read_rope

_NAME = "model.layers.*.mixer"


def _mamba1(config: Fields) -> Description:
    """Defaults: transformers MambaConfig and FalconMambaConfig."""
    width = config.whole("hidden_size", 768, high=LARGEST_WIDTH)
    automatic = config.raw("time_step_rank") in (None, "auto")
    mamba = Mamba1(
        hidden_size=width,
        inner_size=config.whole("intermediate_size", config.whole("expand", 2, high=64) * width, high=LARGEST_WIDTH),
        state_size=config.whole("state_size", 16, high=LARGEST_HEAD),
        conv_kernel=config.whole("conv_kernel", 4, low=2, high=64),
        dt_rank=-(-width // 16) if automatic else config.whole("time_step_rank", high=LARGEST_WIDTH),
        conv_bias=config.flag("use_conv_bias", True),
        bias=config.flag("use_bias"),
    )
    shape = _shape(config, width, mamba.inner_size, mamba.inner_size, 32, 50280)
    group = mamba1_group(mamba, tuple(range(shape.num_layers)))
    return _put(config, shape, mamba1_modules(mamba, _NAME), group, (), True)


def _mamba2(config: Fields) -> Description:
    """Defaults: transformers Mamba2Config."""
    width = config.whole("hidden_size", 4096, high=LARGEST_WIDTH)
    heads = config.whole("num_heads", 128, high=MOST_HEADS)
    mamba = Mamba2(
        hidden_size=width,
        num_heads=heads,
        head_dim=config.whole("head_dim", 64, high=LARGEST_HEAD),
        num_groups=config.whole("n_groups", 8, high=MOST_HEADS),
        state_size=config.whole("state_size", 128, high=LARGEST_HEAD),
        conv_kernel=config.whole("conv_kernel", 4, low=2, high=64),
        conv_bias=config.flag("use_conv_bias", True),
        bias=config.flag("use_bias"),
    )
    shape = _shape(config, width, mamba.inner_size, heads, 64, 32768)
    layers = tuple(range(shape.num_layers))
    modules = mamba2_modules(mamba, _NAME)
    view = Section(Stage.LAYERS, (conv_view(modules[0]),), layers=layers, buffers=True)
    return _put(config, shape, modules, mamba2_group(mamba, layers), (view,), False)


def _shape(config: Fields, width: int, inner: int, heads: int, layers: int, vocabulary: int) -> Shape:
    return Shape(
        hidden_size=width,
        intermediate_size=inner,
        vocab_size=config.whole("vocab_size", vocabulary, high=LARGEST_VOCABULARY),
        num_layers=config.whole("num_hidden_layers", layers, high=MOST_LAYERS),
        num_heads=heads,
        num_kv_heads=1,
        head_size=max(1, inner // heads),
    )


def _put(
    config: Fields,
    shape: Shape,
    mixer: tuple[Module, ...],
    group: AttentionGroup,
    buffers: tuple[Section, ...],
    tied: bool,
) -> Description:
    modules = (*mixer, norm("model.layers.*.norm", shape.hidden_size))
    return put_together(
        Decoder(
            shape=shape,
            rope=read_rope(config, None),
            layer=lambda index: modules,
            attention=(group,),
            tied=config.flag("tie_word_embeddings", tied),
            buffers=buffers,
            final_norm="norm_f",
        )
    )


_PREFIXES = (("backbone.embeddings.", "model.embed_tokens."), ("backbone.", "model."))
_RENAMES = ((".A_log", ".A"),)
FAMILIES = (
    Family("mamba", ("MambaForCausalLM", "FalconMambaForCausalLM"), _mamba1, _PREFIXES, _RENAMES),
    Family("mamba2", ("Mamba2ForCausalLM",), _mamba2, _PREFIXES, _RENAMES),
)
