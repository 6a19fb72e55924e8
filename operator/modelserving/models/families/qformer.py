"""The query transformer between an encoder and a language model, torch's own layers (vLLM 0.32: model_executor/models/blip2.py)."""

from dataclasses import dataclass

from modelserving.models.facts import Module, Section
from modelserving.models.families.layers import norm
from modelserving.models.families.towers import LARGEST_WIDTH, MOST_LAYERS, part, plain
from modelserving.models.fields import Fields


@dataclass(frozen=True, slots=True)
class Qformer:
    """Sizes of a query transformer; every so many-th layer looks at the encoder's output."""

    hidden_size: int
    intermediate_size: int
    num_layers: int
    cross_frequency: int
    encoder_width: int


def read_qformer(config: Fields) -> Qformer:
    """Read a qformer_config; defaults: transformers Blip2QFormerConfig.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    return Qformer(
        config.whole("hidden_size", 768, high=LARGEST_WIDTH),
        config.whole("intermediate_size", 3072, high=LARGEST_WIDTH),
        config.whole("num_hidden_layers", 12, high=MOST_LAYERS),
        config.whole("cross_attention_frequency", 2, high=MOST_LAYERS),
        config.whole("encoder_hidden_size", 1408, high=LARGEST_WIDTH),
    )


def sections(sizes: Qformer, root: str, modalities: tuple[str, ...] = ()) -> tuple[Section, ...]:
    """Its modules, without the queries."""
    width, name = sizes.hidden_size, f"{root}.encoder.layer.*"
    crossing = tuple(range(0, sizes.num_layers, sizes.cross_frequency))
    layer = (
        *_attention(f"{name}.attention", width, width),
        plain(f"{name}.intermediate_query.dense", width, sizes.intermediate_size),
        plain(f"{name}.output_query.dense", sizes.intermediate_size, width),
        norm(f"{name}.output_query.LayerNorm", width, True),
    )
    # Each by its own number, so that headers find it.
    across = (
        part(
            *_attention(f"{root}.encoder.layer.{index}.crossattention", width, sizes.encoder_width),
            modalities=modalities,
        )
        for index in crossing
    )
    return (
        part(norm(f"{root}.layernorm", width, True), modalities=modalities),
        part(*layer, repeats=sizes.num_layers, modalities=modalities),
        *across,
    )


def _attention(name: str, width: int, seen: int) -> tuple[Module, ...]:
    return (
        plain(f"{name}.attention.query", width, width),
        plain(f"{name}.attention.key", seen, width),
        plain(f"{name}.attention.value", seen, width),
        plain(f"{name}.output.dense", width, width),
        norm(f"{name}.output.LayerNorm", width, True),
    )
