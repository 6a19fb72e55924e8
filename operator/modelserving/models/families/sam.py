"""SAM's image encoder as DeepSeek OCR has it: twelve layers of torch's own, windows in all but four (vLLM 0.32: models/deepencoder.py)."""

from modelserving.models.facts import Section
from modelserving.models.families.layers import norm
from modelserving.models.families.towers import Vit, part, plain, table
from modelserving.models.modules import Module

# deepencoder.py, build_sam_vit_b.
SAM = Vit(768, 3072, 12, 12, 1024, 16)
_GLOBAL_LAYERS = (2, 5, 8, 11)
_WINDOW = 14
_NECK = 256
_KERNEL = 3**2


def sections(root: str, last_width: int) -> tuple[Section, ...]:
    """The encoder; last_width is that of its last convolution."""
    width, grid = SAM.hidden_size, SAM.image_size // SAM.patch_size
    wide = 2 * _NECK
    ends = (
        table(f"{root}.pos_embed", SAM.num_patches, width),
        plain(f"{root}.patch_embed.proj", SAM.pixels, width),
        plain(f"{root}.neck.0", width, _NECK, False),
        norm(f"{root}.neck.1", _NECK, True),
        plain(f"{root}.neck.2", _NECK * _KERNEL, _NECK, False),
        norm(f"{root}.neck.3", _NECK, True),
        plain(f"{root}.net_2", _NECK * _KERNEL, wide, False),
        plain(f"{root}.net_3", wide * _KERNEL, last_width, False),
    )
    # Each by its own number, so that headers find it: positions differ between windows and the whole image.
    layers = (
        part(*_layer(f"{root}.blocks.{index}", grid if index in _GLOBAL_LAYERS else _WINDOW))
        for index in range(SAM.num_layers)
    )
    return (part(*ends), *layers)


def _layer(name: str, side: int) -> tuple[Module, ...]:
    width, size = SAM.hidden_size, SAM.hidden_size // SAM.num_heads
    return (
        norm(f"{name}.norm1", width, True),
        norm(f"{name}.norm2", width, True),
        table(f"{name}.attn.rel_pos_h", 2 * side - 1, size),
        table(f"{name}.attn.rel_pos_w", 2 * side - 1, size),
        plain(f"{name}.attn.qkv", width, 3 * width),
        plain(f"{name}.attn.proj", width, width),
        plain(f"{name}.mlp.lin1", width, SAM.intermediate_size),
        plain(f"{name}.mlp.lin2", SAM.intermediate_size, width),
    )
