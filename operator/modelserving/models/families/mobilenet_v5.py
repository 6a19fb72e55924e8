"""MobileNet V5, the tower of Gemma 3n: convolutions and attention of timm's own, whole on every rank.

Source: timm 1.0 models/mobilenetv5.py, mobilenetv5_300m_enc, which transformers' TimmWrapperModel builds; its norms have no
bias and keep no statistics.
"""

from dataclasses import dataclass

from modelserving.models.facts import Module, Section
from modelserving.models.families.layers import norm
from modelserving.models.families.towers import part, plain

OUT = 2048
# Side of the images and of the last stage but one, where nearly all layers are.
IMAGE_SIZE, GRID = 768, 48
LAYERS = 84
_STEM, _CHANNELS = 64, 3
_KERNEL = 3


@dataclass(frozen=True, slots=True)
class _Inverted:
    """A block that widens, and perhaps filters before or between (UniversalInvertedResidual); kernels of 0 are absent."""

    into: int
    inner: int
    out: int
    start: int = 0
    mid: int = 0


@dataclass(frozen=True, slots=True)
class _Attention:
    """Queries of many heads on one key and value, which may be filtered first (MobileAttention)."""

    width: int
    heads: int
    size: int
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class _Edge:
    """A block that widens by its filter (EdgeResidual)."""

    into: int
    inner: int
    out: int


_STAGES: tuple[tuple[_Inverted | _Attention | _Edge, ...], ...] = (
    (_Edge(64, 256, 128), _Edge(128, 512, 128), _Edge(128, 512, 128)),
    (_Inverted(128, 768, 256, 3, 5), *(_Inverted(256, 1024, 256, start) for start in (5, 3, 5, 3))),
    (
        _Inverted(256, 1536, 640, 5, 5),
        *(_Inverted(640, 2560, 640, 5),) * 7,
        _Inverted(640, 640, 640),
        *(_Attention(640, 12, 64, filtered=True), _Inverted(640, 1280, 640)) * 14,
    ),
    (_Inverted(640, 3840, 1280, 5, 5), *(_Attention(1280, 16, 96), _Inverted(1280, 2560, 1280)) * 19),
)
# The last two stages joined, widened and brought to the tower's output (MobileNetV5MultiScaleFusionAdapter).
_FUSED = _Inverted(1920, 3840, OUT)


def sections(root: str, modalities: tuple[str, ...]) -> tuple[Section, ...]:
    """The tower, block by block."""
    stem = (
        plain(f"{root}.conv_stem.conv", _CHANNELS * _KERNEL**2, _STEM),
        norm(f"{root}.conv_stem.bn", _STEM),
    )
    blocks = (
        part(*_block(f"{root}.blocks.{stage}.{index}", block), modalities=modalities)
        for stage, held in enumerate(_STAGES)
        for index, block in enumerate(held)
    )
    fused = (*_inverted(f"{root}.msfa.ffn", _FUSED), norm(f"{root}.msfa.norm", OUT))
    return (part(*stem, modalities=modalities), *blocks, part(*fused, modalities=modalities))


def _block(name: str, block: _Inverted | _Attention | _Edge) -> tuple[Module, ...]:
    if isinstance(block, _Edge):
        return (
            plain(f"{name}.conv_exp", block.into * _KERNEL**2, block.inner, False),
            norm(f"{name}.bn1", block.inner),
            plain(f"{name}.conv_pwl", block.inner, block.out, False),
            norm(f"{name}.bn2", block.out),
        )
    if isinstance(block, _Attention):
        return _attention(name, block)
    return (*_inverted(name, block), norm(f"{name}.layer_scale.gamma", block.out))


def _inverted(name: str, block: _Inverted) -> tuple[Module, ...]:
    return (
        *(_filter(f"{name}.dw_start", block.into, block.start) if block.start else ()),
        plain(f"{name}.pw_exp.conv", block.into, block.inner, False),
        norm(f"{name}.pw_exp.bn", block.inner),
        *(_filter(f"{name}.dw_mid", block.inner, block.mid) if block.mid else ()),
        plain(f"{name}.pw_proj.conv", block.inner, block.out, False),
        norm(f"{name}.pw_proj.bn", block.out),
    )


def _filter(name: str, width: int, kernel: int) -> tuple[Module, ...]:
    """A convolution of every channel by itself."""
    return (plain(f"{name}.conv", kernel**2, width, False), norm(f"{name}.bn", width))


def _attention(name: str, block: _Attention) -> tuple[Module, ...]:
    width, wide = block.width, block.heads * block.size
    modules = [
        norm(f"{name}.norm", width),
        plain(f"{name}.attn.query.proj", width, wide, False),
        plain(f"{name}.attn.output.proj", wide, width, False),
        norm(f"{name}.layer_scale.gamma", width),
    ]
    for key in ("key", "value"):
        modules.append(plain(f"{name}.attn.{key}.proj", width, block.size, False))
        if block.filtered:
            modules.append(plain(f"{name}.attn.{key}.down_conv", _KERNEL**2, width, False))
            modules.append(norm(f"{name}.attn.{key}.norm", width))
    return tuple(modules)
