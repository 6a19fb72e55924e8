"""Encoders of images and sounds, put together from the pieces that nearly all of them have.

Source: vLLM 0.32 model_executor/layers/linear.py, conv.py and the towers of model_executor/models/.
"""

from dataclasses import dataclass, replace

from modelserving.models.facts import Module, Section, Split, Stage, VisionTower
from modelserving.models.families.family import Description
from modelserving.models.families.layers import column, gate_up, norm, qkv, replicated, row
from modelserving.models.fields import Fields

LARGEST_WIDTH = 2**16
MOST_LAYERS = 512
LARGEST_SIDE = 2**16
SEPARATE = ("q_proj", "k_proj", "v_proj")


@dataclass(frozen=True, slots=True)
class Vit:
    """Sizes of a vision transformer.

    Attributes:
        num_layers: layers that vLLM builds.
    """

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    image_size: int
    patch_size: int
    num_channels: int = 3

    @property
    def num_patches(self) -> int:
        """Patches of one image."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def pixels(self) -> int:
        """Inputs of one patch."""
        return self.num_channels * self.patch_size**2


def read_vit(vision: Fields, defaults: Vit) -> Vit:
    """Read a vision_config with transformers' usual keys.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    hidden = vision.whole("hidden_size", defaults.hidden_size, high=LARGEST_WIDTH)
    heads = vision.whole("num_attention_heads", defaults.num_heads, high=hidden)
    if hidden % heads:
        raise vision.fail("num_attention_heads", f"a divisor of hidden_size ({hidden})")
    image = vision.wholes("image_size", defaults.image_size, low=1, high=LARGEST_SIDE)[0]
    return Vit(
        hidden_size=hidden,
        intermediate_size=vision.whole("intermediate_size", defaults.intermediate_size, high=LARGEST_WIDTH),
        num_layers=vision.whole("num_hidden_layers", defaults.num_layers, high=MOST_LAYERS),
        num_heads=heads,
        image_size=image,
        patch_size=vision.wholes("patch_size", defaults.patch_size, low=1, high=image)[0],
        num_channels=vision.whole("num_channels", defaults.num_channels, high=64),
    )


def feature_layers(config: Fields, vit: Vit, default: int) -> int:
    """Layers that are needed for the deepest of `vision_feature_layer`.

    Raises:
        InvalidFieldError: the tower has fewer.
    """
    asked = config.wholes("vision_feature_layer", default, low=-MOST_LAYERS, high=MOST_LAYERS)
    used = max(number + 1 if number >= 0 else vit.num_layers + number + 1 for number in asked)
    if not 1 <= used <= vit.num_layers:
        raise config.fail("vision_feature_layer", f"layers of a tower that has {vit.num_layers}")
    return used


def part(*modules: Module, repeats: int = 1, shard_heads: int = 0, modalities: tuple[str, ...] = ()) -> Section:
    """Modules of a tower or projector."""
    return Section(Stage.EVERY, modules, repeats=repeats, tower=True, shard_heads=shard_heads, modalities=modalities)


def kept(*modules: Module, modalities: tuple[str, ...] = ()) -> Section:
    """Buffers of a tower."""
    return Section(Stage.EVERY, modules, tower=True, buffers=True, modalities=modalities)


def plain(name: str, inputs: int, outputs: int, bias: bool = True) -> Module:
    """A layer of torch's own: whole on every rank, never quantized."""
    return replicated(name, inputs, outputs, bias, quantizable=False)


def table(name: str, rows: int, width: int, dtype: str | None = None) -> Module:
    """Learned positions and the like."""
    return Module(name, Split.REPLICATED, width, (rows,), fixed_dtype=dtype)


def vector(name: str, size: int) -> Module:
    """A parameter without a `.weight` of its own."""
    return norm(name, size)


def attention(
    name: str,
    width: int,
    heads: int,
    joined: str = "qkv_proj",
    out: str = "out_proj",
    parts: tuple[str, ...] = SEPARATE,
    bias: bool = True,
    out_bias: bool | None = None,
    quantizable: bool = True,
) -> tuple[Module, ...]:
    """Self-attention: query, key and value joined, and the output.

    Args:
        name: name of the attention.
        width: of the tower.
        heads: attention heads.
        joined: name of query, key and value joined.
        out: name of the output.
        parts: names of query, key and value in the checkpoint.
        bias: whether query, key and value have one.
        out_bias: whether the output has one; None: as bias.
        quantizable: whether vLLM gives both its quantization settings.
    """
    size = width // heads
    both = qkv(f"{name}.{joined}", width, (heads, heads), (size, size), bias, parts)
    return (
        replace(both, quantizable=quantizable),
        row(f"{name}.{out}", width, width, bias if out_bias is None else out_bias, quantizable),
    )


def mlp(
    name: str,
    width: int,
    inner: int,
    names: tuple[str, str] = ("fc1", "fc2"),
    bias: bool = True,
    quantizable: bool = True,
) -> tuple[Module, ...]:
    """A plain MLP."""
    return (
        column(f"{name}.{names[0]}", width, inner, bias, quantizable),
        row(f"{name}.{names[1]}", inner, width, bias, quantizable),
    )


def gated(name: str, width: int, inner: int, bias: bool = False, quantizable: bool = True) -> tuple[Module, ...]:
    """A gated MLP."""
    return (
        replace(gate_up(name, width, inner, bias), quantizable=quantizable),
        row(f"{name}.down_proj", inner, width, bias, quantizable),
    )


def tower(
    vit: Vit, tokens: int, modalities: tuple[str, ...] = ("image",), largest: int = 0, data_parallel: bool = False
) -> VisionTower:
    """Facts that the encoder's memory is computed from.

    Args:
        vit: the tower.
        tokens: language-model tokens of one pass.
        modalities: what it takes.
        largest: tokens of the largest item; 0: one pass.
        data_parallel: whether vLLM's class knows `--mm-encoder-tp-mode data`.
    """
    return VisionTower(
        hidden_size=vit.hidden_size,
        intermediate_size=vit.intermediate_size,
        num_layers=vit.num_layers,
        num_heads=vit.num_heads,
        patches_per_image=vit.num_patches,
        tokens_per_image=max(1, tokens),
        max_tokens_per_item=max(1, tokens, largest),
        modalities=modalities,
        data_parallel=data_parallel,
    )


def join(text: Description, parts: tuple[Section, ...], facts: VisionTower) -> Description:
    """Towers and language model together, in the order vLLM builds them."""
    return replace(text, sections=(*parts, *text.sections), vision=facts)
