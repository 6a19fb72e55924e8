"""Whisper: an audio encoder and a decoder that looks at its output (vLLM 0.32: model_executor/models/whisper.py).

The decoder's embedding is a plain table, whole on every rank, and the head is always tied to it. Positions are learned.
"""

from dataclasses import dataclass

from modelserving.models.facts import AttentionGroup, AttentionKind, Module, Section, Split, Stage, VisionTower
from modelserving.models.families.decoder import LARGEST_VOCABULARY, MOST_HEADS, MOST_LAYERS
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import attention_scales, column, merged, norm, qkv, replicated, row
from modelserving.models.fields import Fields

_LARGEST_WIDTH = 2**16
# Defaults: transformers WhisperConfig.
_DEFAULTS = {
    "d_model": 384,
    "encoder_layers": 4,
    "decoder_layers": 4,
    "encoder_attention_heads": 6,
    "decoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "decoder_ffn_dim": 1536,
    "num_mel_bins": 80,
    "max_source_positions": 1500,
    "max_target_positions": 448,
    "vocab_size": 51865,
}
_CONV_WIDTH = 3


@dataclass(frozen=True, slots=True)
class _Sizes:
    width: int
    mel_bins: int
    encoder_layers: int
    encoder_heads: int
    encoder_inner: int
    decoder_layers: int
    decoder_heads: int
    decoder_inner: int
    source_positions: int
    target_positions: int
    vocab_size: int


def _read(config: Fields) -> _Sizes:
    def size(key: str, high: int) -> int:
        return config.whole(key, _DEFAULTS[key], high=high)

    sizes = _Sizes(
        width=size("d_model", _LARGEST_WIDTH),
        mel_bins=size("num_mel_bins", _LARGEST_WIDTH),
        encoder_layers=size("encoder_layers", MOST_LAYERS),
        encoder_heads=size("encoder_attention_heads", MOST_HEADS),
        encoder_inner=size("encoder_ffn_dim", _LARGEST_WIDTH),
        decoder_layers=size("decoder_layers", MOST_LAYERS),
        decoder_heads=size("decoder_attention_heads", MOST_HEADS),
        decoder_inner=size("decoder_ffn_dim", _LARGEST_WIDTH),
        source_positions=size("max_source_positions", 2**20),
        target_positions=size("max_target_positions", 2**20),
        vocab_size=size("vocab_size", LARGEST_VOCABULARY),
    )
    for key, heads in (("encoder", sizes.encoder_heads), ("decoder", sizes.decoder_heads)):
        if sizes.width % heads:
            raise config.fail(f"{key}_attention_heads", f"a divisor of d_model ({sizes.width})")
    return sizes


def _describe(config: Fields) -> Description:
    sizes = _read(config)
    layers = tuple(range(sizes.decoder_layers))
    heads, size = sizes.decoder_heads, sizes.width // sizes.decoder_heads
    attention = (
        AttentionGroup(AttentionKind.FULL, layers, heads, heads, size, size),
        AttentionGroup(AttentionKind.CROSS, layers, heads, heads, size, size, max_tokens=sizes.source_positions),
    )
    name = "model.decoder.layers.*"
    return Description(
        sections=(
            *_encoder(sizes),
            *_decoder(sizes, layers),
            attention_scales(f"{name}.self_attn.attn", layers),
            attention_scales(f"{name}.encoder_attn.attn", layers),
        ),
        attention=attention,
        max_model_len=sizes.target_positions,
        hidden_size=sizes.width,
        intermediate_size=sizes.decoder_inner,
        vocab_size=sizes.vocab_size,
        num_layers=sizes.decoder_layers,
        num_attention_heads=heads,
        num_kv_heads=heads,
        head_size=size,
        tie_word_embeddings=True,
        vision=_tower(sizes),
        supports_pipeline=False,
    )


def _tower(sizes: _Sizes) -> VisionTower:
    return VisionTower(
        hidden_size=sizes.width,
        intermediate_size=sizes.encoder_inner,
        num_layers=sizes.encoder_layers,
        num_heads=sizes.encoder_heads,
        patches_per_image=sizes.source_positions,
        tokens_per_image=sizes.source_positions,
        max_tokens_per_item=sizes.source_positions,
        modalities=("audio",),
    )


def encoder_sections(
    root: str, width: int, mel_bins: int, layers: int, heads: int, inner: int, positions: int
) -> tuple[Section, ...]:
    """Whisper's encoder, which models that hear use as well."""
    front = (
        replicated(f"{root}.conv1", mel_bins * _CONV_WIDTH, width, True, quantizable=False),
        replicated(f"{root}.conv2", width * _CONV_WIDTH, width, True, quantizable=False),
        Module(f"{root}.embed_positions", Split.REPLICATED, width, (positions,)),
    )
    layer = (
        *_self_attention(f"{root}.layers.*.self_attn", width, heads),
        norm(f"{root}.layers.*.self_attn_layer_norm", width, True),
        *_mlp(f"{root}.layers.*", width, inner),
        norm(f"{root}.layers.*.final_layer_norm", width, True),
    )
    return (
        Section(Stage.EVERY, front, tower=True),
        Section(Stage.EVERY, layer, repeats=layers, tower=True),
        Section(Stage.EVERY, (norm(f"{root}.layer_norm", width, True),), tower=True),
    )


def _encoder(sizes: _Sizes) -> tuple[Section, ...]:
    return encoder_sections(
        "model.encoder",
        sizes.width,
        sizes.mel_bins,
        sizes.encoder_layers,
        sizes.encoder_heads,
        sizes.encoder_inner,
        sizes.source_positions,
    )


def _decoder(sizes: _Sizes, layers: tuple[int, ...]) -> tuple[Section, ...]:
    root, width = "model.decoder", sizes.width
    front = (
        Module(f"{root}.embed_tokens", Split.REPLICATED, width, (sizes.vocab_size,)),
        Module(f"{root}.embed_positions", Split.REPLICATED, width, (sizes.target_positions,)),
    )
    name = f"{root}.layers.*"
    across = f"{name}.encoder_attn"
    both = merged(f"{across}.kv_proj", width, (width, width), ("k_proj", "v_proj"), True)
    layer = (
        *_self_attention(f"{name}.self_attn", width, sizes.decoder_heads),
        norm(f"{name}.self_attn_layer_norm", width, True),
        column(f"{across}.q_proj", width, width, True),
        both,
        row(f"{across}.out_proj", width, width, True),
        norm(f"{across}_layer_norm", width, True),
        *_mlp(name, width, sizes.decoder_inner),
        norm(f"{name}.final_layer_norm", width, True),
    )
    return (
        Section(Stage.FIRST, front),
        Section(Stage.LAYERS, layer, layers=layers),
        Section(Stage.LAST, (norm(f"{root}.layer_norm", width, True),)),
    )


def _self_attention(name: str, width: int, heads: int) -> tuple[Module, ...]:
    size = width // heads
    return (
        qkv(f"{name}.qkv_proj", width, (heads, heads), (size, size), True),
        row(f"{name}.out_proj", width, width, True),
    )


def _mlp(name: str, width: int, inner: int) -> tuple[Module, ...]:
    return (column(f"{name}.mlp.fc1", width, inner, True), row(f"{name}.mlp.fc2", inner, width, True))


FAMILY = Family(
    name="whisper",
    architectures=("WhisperForConditionalGeneration",),
    describe=_describe,
    renames=((".fc1.", ".mlp.fc1."), (".fc2.", ".mlp.fc2.")),
    unused=("proj_out.",),
)
