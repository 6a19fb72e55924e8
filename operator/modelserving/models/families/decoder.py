"""A decoder put together: embedding, layers, head, and the limits that config.json states."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modelserving.models.facts import (
    AttentionGroup,
    AttentionKind,
    Experts,
    LatentAttention,
    Module,
    Section,
    Split,
    Stage,
)
from modelserving.models.families.family import Description
from modelserving.models.families.layers import attention_scales, norm
from modelserving.models.fields import Fields
from modelserving.models.rope import Rope

# Far beyond any published model; products of three of these stay small enough to compute with.
MOST_LAYERS = 1024
MOST_HEADS = 4096
LARGEST_HEAD = 4096
LARGEST_WIDTH = 2**22
LARGEST_VOCABULARY = 2**24
MOST_EXPERTS = 2**16


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a decoder."""

    hidden_size: int
    intermediate_size: int
    vocab_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int


@dataclass(frozen=True, slots=True)
class Decoder:
    """A decoder, ready to be put together.

    Attributes:
        prefix: what vLLM puts before the names of this language model's modules.
        layer: modules of a decoder layer, by its index.
        attention: KV cache layout.
        buffers: rope caches and the like.
        head_dtype: dtype of the output head where the model's does not decide.
        model: name of the decoder inside the language model.
        embedding, final_norm, head: their names; the head stands beside the decoder; no final_norm if it has no weight.
    """

    shape: Shape
    rope: Rope
    layer: Callable[[int], tuple[Module, ...]]
    attention: tuple[AttentionGroup, ...]
    tied: bool
    prefix: str = ""
    buffers: tuple[Section, ...] = ()
    model: str = "model"
    embedding: str = "embed_tokens"
    final_norm: str = "norm"
    norm_bias: bool = False
    head: str = "lm_head"
    head_bias: bool = False
    experts: Experts | None = None
    latent_attention: LatentAttention | None = None
    assumptions: tuple[str, ...] = ()


def read_shape(config: Fields, defaults: Mapping[str, int] | None = None, head_dim_key: bool = True) -> Shape:
    """Read the sizes that nearly every decoder states under the same names.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    known = defaults or {}
    hidden_size = config.whole("hidden_size", known.get("hidden_size"), high=LARGEST_WIDTH)
    heads = config.whole("num_attention_heads", known.get("num_attention_heads"), high=MOST_HEADS)
    kv_heads = config.whole("num_key_value_heads", known.get("num_key_value_heads", heads), high=MOST_HEADS)
    if heads % kv_heads:
        raise config.fail("num_key_value_heads", f"a divisor of num_attention_heads ({heads})")
    default_head = known.get("head_dim") or hidden_size // heads
    head_size = config.whole("head_dim", default_head, high=LARGEST_HEAD) if head_dim_key else default_head
    if not 0 < head_size <= LARGEST_HEAD:
        raise config.fail("num_attention_heads", f"at most hidden_size ({hidden_size})")
    return Shape(
        hidden_size=hidden_size,
        intermediate_size=config.whole("intermediate_size", known.get("intermediate_size"), high=LARGEST_WIDTH),
        vocab_size=config.whole("vocab_size", known.get("vocab_size"), high=LARGEST_VOCABULARY),
        num_layers=config.whole("num_hidden_layers", known.get("num_hidden_layers"), high=MOST_LAYERS),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_size=head_size,
    )


def put_together(decoder: Decoder) -> Description:
    """Describe a decoder: its sections in the order vLLM builds them."""
    shape, root = decoder.shape, f"{decoder.prefix}{decoder.model}."
    embedding = Module(f"{root}{decoder.embedding}", Split.VOCAB, shape.hidden_size, (shape.vocab_size,))
    head = Module(
        f"{decoder.prefix}{decoder.head}",
        Split.VOCAB,
        shape.hidden_size,
        (shape.vocab_size,),
        bias=decoder.head_bias,
        tied_to=embedding.name if decoder.tied else None,
    )
    last = (norm(f"{root}{decoder.final_norm}", shape.hidden_size, decoder.norm_bias),) if decoder.final_norm else ()
    # A layer may be in two groups, its own keys and an encoder's: each is an attention layer with scales.
    scaled = (
        group.layers for group in decoder.attention if group.kind is not AttentionKind.MAMBA and not group.is_indexer
    )
    sections = (
        Section(Stage.FIRST, (embedding,)),
        *group_layers(shape.num_layers, decoder.layer),
        Section(Stage.LAST, (*last, head)),
        *decoder.buffers,
        *(attention_scales(f"{root}layers.*.self_attn.attn", layers) for layers in scaled if layers),
    )
    return Description(
        sections=sections,
        attention=decoder.attention,
        max_model_len=decoder.rope.max_model_len,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        vocab_size=shape.vocab_size,
        num_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_kv_heads=shape.num_kv_heads,
        head_size=shape.head_size,
        tie_word_embeddings=decoder.tied,
        experts=decoder.experts,
        latent_attention=decoder.latent_attention,
        assumptions=decoder.assumptions,
    )


def group_layers(num_layers: int, layer: Callable[[int], tuple[Module, ...]]) -> tuple[Section, ...]:
    """Sections of layers that have the same modules, in order of their first layer."""
    found: dict[tuple[Module, ...], list[int]] = {}
    for index in range(num_layers):
        found.setdefault(layer(index), []).append(index)
    return tuple(Section(Stage.LAYERS, modules, layers=tuple(at)) for modules, at in found.items())


def layers_where(num_layers: int, holds: Callable[[int], bool]) -> tuple[int, ...]:
    """Indices of the layers for which something holds."""
    return tuple(index for index in range(num_layers) if holds(index))
