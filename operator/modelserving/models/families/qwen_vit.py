"""Qwen's vision towers: Qwen 2, 2.5 and 3 VL (vLLM 0.32: model_executor/models/qwen2_vl.py, qwen2_5_vl.py, qwen3_vl.py)."""

from dataclasses import dataclass, replace

from modelserving.models.facts import Module, Section, Split, Stage, VisionTower
from modelserving.models.families.layers import column, gate_up, norm, qkv, replicated, row
from modelserving.models.fields import Fields

_LARGEST_WIDTH = 2**16
_MOST_LAYERS = 512
# Positions of the tower's own rope cache, whose heads are rotated by half (get_rope(max_position=8192)).
_ROPE_ROWS = 8192
MODALITIES = ("image", "video")


@dataclass(frozen=True, slots=True)
class QwenVit:
    """Sizes of a tower.

    Attributes:
        out_size: width of the language model.
        gated: whether its MLP is gated.
        block_bias: whether MLP and patches have biases.
        rms: whether norms have no bias.
        positions: rows of a learned position table; 0 for none.
        deepstack: how many further mergers there are.
        newer: whether layers are named as Qwen 3's.
        older_merger: whether the merger is named as Qwen 2's all the same.
    """

    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    patch_size: int
    temporal_patch_size: int
    channels: int
    merge: int
    out_size: int
    gated: bool
    rms: bool
    patch_bias: bool = False
    positions: int = 0
    deepstack: int = 0
    newer: bool = False
    older_merger: bool = False
    max_tokens_per_item: int = 16384

    @property
    def pixels(self) -> int:
        """Inputs of one patch."""
        return self.channels * self.temporal_patch_size * self.patch_size**2


def read_sizes(vision: Fields, defaults: QwenVit, out_size: int) -> QwenVit:
    """Read a vision_config whose keys are those of Qwen 2.5 and later.

    Raises:
        InvalidFieldError: a field does not hold what it must.
    """
    hidden = vision.whole("hidden_size", defaults.hidden_size, high=_LARGEST_WIDTH)
    heads = vision.whole("num_heads", defaults.num_heads, high=hidden)
    if hidden % heads:
        raise vision.fail("num_heads", f"a divisor of hidden_size ({hidden})")
    stacked = vision.raw("deepstack_visual_indexes")
    layers = vision.whole("depth", defaults.num_layers, high=_MOST_LAYERS)
    deepstack = defaults.deepstack if stacked is None else len(vision.indices("deepstack_visual_indexes", layers))
    return QwenVit(
        hidden_size=hidden,
        intermediate_size=vision.whole("intermediate_size", defaults.intermediate_size, high=_LARGEST_WIDTH),
        num_layers=layers,
        num_heads=heads,
        patch_size=vision.whole("patch_size", defaults.patch_size, high=1024),
        temporal_patch_size=vision.whole("temporal_patch_size", defaults.temporal_patch_size, high=64),
        channels=vision.whole("in_channels", defaults.channels, high=64),
        merge=vision.whole("spatial_merge_size", defaults.merge, high=64),
        out_size=vision.whole("out_hidden_size", out_size, high=_LARGEST_WIDTH),
        gated=defaults.gated,
        rms=defaults.rms,
        patch_bias=defaults.patch_bias,
        positions=vision.whole("num_position_embeddings", defaults.positions, low=0, high=2**20)
        if defaults.positions
        else 0,
        deepstack=deepstack,
        newer=defaults.newer,
        older_merger=defaults.older_merger,
        max_tokens_per_item=defaults.max_tokens_per_item,
    )


def sections(vit: QwenVit, root: str = "visual", modalities: tuple[str, ...] = ()) -> tuple[Section, ...]:
    """The tower, in the order vLLM builds it; modalities where others have towers of their own."""
    front = [replicated(f"{root}.patch_embed.proj", vit.pixels, vit.hidden_size, vit.patch_bias, quantizable=False)]
    if vit.positions:
        front.append(Module(f"{root}.pos_embed", Split.REPLICATED, vit.hidden_size, (vit.positions,)))
    rope = Module(f"{root}.rotary_pos_emb", Split.REPLICATED, vit.hidden_size // vit.num_heads // 2, (_ROPE_ROWS,))
    parts = [
        Section(Stage.EVERY, tuple(front), tower=True),
        Section(Stage.EVERY, (rope,), tower=True, buffers=True),
        Section(Stage.EVERY, _block(vit, f"{root}.blocks.*"), repeats=vit.num_layers, tower=True),
        Section(Stage.EVERY, _merger(vit, f"{root}.merger", vit.hidden_size), tower=True),
    ]
    if vit.deepstack:
        name = "merger_list" if vit.older_merger else "deepstack_merger_list"
        stacked = _merger(vit, f"{root}.{name}.*", vit.hidden_size * vit.merge**2)
        parts.append(Section(Stage.EVERY, stacked, repeats=vit.deepstack, tower=True))
    return tuple(replace(part, modalities=modalities) for part in parts)


def _block(vit: QwenVit, name: str) -> tuple[Module, ...]:
    width, inner = vit.hidden_size, vit.intermediate_size
    size = width // vit.num_heads
    if vit.gated:
        mlp = (gate_up(f"{name}.mlp", width, inner, True), row(f"{name}.mlp.down_proj", inner, width, True))
    else:
        first, second = ("linear_fc1", "linear_fc2") if vit.newer else ("fc1", "fc2")
        mlp = (column(f"{name}.mlp.{first}", width, inner, True), row(f"{name}.mlp.{second}", inner, width, True))
    return (
        norm(f"{name}.norm1", width, not vit.rms),
        norm(f"{name}.norm2", width, not vit.rms),
        qkv(f"{name}.attn.qkv", width, (vit.num_heads, vit.num_heads), (size, size), True, ("qkv",)),
        row(f"{name}.attn.proj", width, width, True),
        *mlp,
    )


def _merger(vit: QwenVit, name: str, normed: int) -> tuple[Module, ...]:
    width = vit.hidden_size * vit.merge**2
    newer = vit.newer and not vit.older_merger
    first, second = ("linear_fc1", "linear_fc2") if newer else ("mlp.0", "mlp.2")
    return (
        norm(f"{name}.norm" if newer else f"{name}.ln_q", normed, not vit.rms),
        column(f"{name}.{first}", width, width, True),
        row(f"{name}.{second}", width, vit.out_size, True),
    )


def tower(vit: QwenVit) -> VisionTower:
    """Facts that the encoder's memory is computed from; an item is one pass, of as many patches as it has."""
    return VisionTower(
        hidden_size=vit.hidden_size,
        intermediate_size=vit.intermediate_size,
        num_layers=vit.num_layers,
        num_heads=vit.num_heads,
        patches_per_image=vit.max_tokens_per_item * vit.merge**2,
        tokens_per_image=vit.max_tokens_per_item,
        max_tokens_per_item=vit.max_tokens_per_item,
        modalities=MODALITIES,
        data_parallel=True,
    )
