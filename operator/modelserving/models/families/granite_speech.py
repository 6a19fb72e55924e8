"""Granite Speech: a conformer, a query transformer and Granite (vLLM 0.32: model_executor/models/granite_speech.py).

The conformer's attention and convolutions are torch's own; its feed-forward layers are cut.
"""

from dataclasses import replace

from modelserving.models.facts import Module, Section, VisionTower
from modelserving.models.families import qformer
from modelserving.models.families.family import Description, Family
from modelserving.models.families.layers import column, norm, row
from modelserving.models.families.nested import language_model, ties
from modelserving.models.families.towers import LARGEST_WIDTH, MOST_LAYERS, join, kept, mlp, part, plain, table, vector
from modelserving.models.fields import Fields

_MODALITIES = ("audio",)


def _describe(config: Fields) -> Description:
    text = language_model(config.required_part("text_config"), ties(config, True), model_type="granite")
    encoder = config.required_part("encoder_config")
    between = qformer.read_qformer(config.required_part("projector_config"))
    window = config.whole("window_size", 15, high=2**16)
    queries = max(1, window // config.whole("downsample_rate", 5, high=window))
    projector = (
        part(table("projector.query", queries, between.hidden_size)),
        *qformer.sections(between, "projector.qformer"),
        part(plain("projector.linear", between.hidden_size, text.hidden_size)),
    )
    parts, facts = _encoder(encoder)
    return join(text, (*parts, *projector), facts)


def _encoder(config: Fields) -> tuple[tuple[Section, ...], VisionTower]:
    # Defaults: transformers GraniteSpeechEncoderConfig.
    width = config.whole("hidden_dim", 1024, high=LARGEST_WIDTH)
    heads = config.whole("num_heads", 8, high=4096)
    size = config.whole("dim_head", 128, high=4096)
    layers = config.whole("num_layers", 10, high=MOST_LAYERS)
    inner = width * config.whole("feedforward_mult", 4, high=64)
    wide = width * config.whole("conv_expansion_factor", 2, high=64)
    kernel = config.whole("conv_kernel_size", 15, high=1024)
    positions = 2 * config.whole("max_pos_emb", 512, high=2**16) + 1
    context = config.whole("context_size", 200, high=2**16)
    out = config.whole("output_dim", 42, high=LARGEST_WIDTH)
    name = "encoder.layers.*"
    layer = (
        *_feed_forward(f"{name}.ff1", width, inner),
        norm(f"{name}.attn.pre_norm", width, True),
        plain(f"{name}.attn.to_q", width, heads * size, False),
        plain(f"{name}.attn.to_kv", width, 2 * heads * size, False),
        plain(f"{name}.attn.to_out", heads * size, width),
        table(f"{name}.attn.rel_pos_emb", positions, size),
        norm(f"{name}.conv.norm", width, True),
        plain(f"{name}.conv.up_conv", width, 2 * wide),
        plain(f"{name}.conv.depth_conv.conv", kernel, wide, False),
        norm(f"{name}.conv.batch_norm", wide, True),
        plain(f"{name}.conv.down_conv", wide, width),
        *_feed_forward(f"{name}.ff2", width, inner),
        norm(f"{name}.post_norm", width, True),
    )
    ends = (
        plain("encoder.input_linear", config.whole("input_dim", 160, high=LARGEST_WIDTH), width),
        column("encoder.out", width, out, True),
        row("encoder.out_mid", out, width, True),
    )
    running = (vector(f"{name}.conv.batch_norm.running_{key}", wide) for key in ("mean", "var"))
    counted = table(f"{name}.conv.batch_norm.num_batches_tracked", 1, 1, "int64")
    parts = (
        part(*ends),
        part(*layer, repeats=layers),
        replace(kept(*running, counted), repeats=layers),
    )
    return parts, VisionTower(width, inner, layers, heads, context, context, context, _MODALITIES)


def _feed_forward(name: str, width: int, inner: int) -> tuple[Module, ...]:
    return (
        norm(f"{name}.pre_norm", width, True),
        *mlp(name, width, inner, ("up_proj", "down_proj"), quantizable=False),
    )


FAMILY: Family = Family("granite_speech", ("GraniteSpeechForConditionalGeneration",), _describe)
