"""A family nobody described: sized from the safetensors headers alone, as what it is, and said so.

Tensors take what they take on disk; how vLLM would cut them over ranks is taken as evenly for matrices of decoder layers
and embeddings, not at all for vectors and towers. Sizing widens its band for such a model.
"""

from collections.abc import Iterable

from modelserving.models import headers
from modelserving.models.attention import AttentionGroup, AttentionKind
from modelserving.models.families.decoder import Shape, read_shape
from modelserving.models.families.family import Description
from modelserving.models.families.layers import attention_scales, rope_cache
from modelserving.models.fields import Fields
from modelserving.models.metadata import TensorGroup
from modelserving.models.modules import Module, Section, Split, Stage
from modelserving.models.rope import read_rope

NAME = "undescribed"
_FLOATS = frozenset({"BF16", "F16", "F32", "F64"})
_TOWERS = ("visual", "vision", "audio", "image", "mm_", "multi_modal")
_EMBEDDINGS = ("embed", "wte", "lm_head", "output.weight")
_ASSUMPTION = (
    "nobody described this architecture: weights are taken as stored and cut evenly over GPUs, and every layer as full "
    "attention"
)
_UNUSED = ("mtp.", "model.mtp")


def describe_undescribed(config: Fields, tensors: Iterable[TensorGroup]) -> Description:
    """Describe a checkpoint by its tensors.

    Raises:
        InvalidFieldError: config.json lacks a size that the KV cache is computed from.
    """
    text = config.part("text_config") or config
    shape = read_shape(text, {"vocab_size": 1, "intermediate_size": text.whole("hidden_size")})
    rope = read_rope(text, None)
    everything = tuple(range(shape.num_layers))
    size = shape.head_size
    sections = [section for group in tensors if (section := _section(group, shape)) is not None]
    return Description(
        sections=(*sections, rope_cache(rope.cache_rows, size), attention_scales("layers.*.attn", everything)),
        attention=(AttentionGroup(AttentionKind.FULL, everything, shape.num_heads, shape.num_kv_heads, size, size),),
        max_model_len=rope.max_model_len,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        vocab_size=shape.vocab_size,
        num_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_kv_heads=shape.num_kv_heads,
        head_size=size,
        tie_word_embeddings=text.flag("tie_word_embeddings"),
        assumptions=(_ASSUMPTION,),
    )


def _section(group: TensorGroup, shape: Shape) -> Section | None:
    if group.pattern.startswith(_UNUSED) or not group.shape or min(group.shape) < 1:
        return None
    copies = max(1, group.count // max(1, len(group.layers)))
    elements = copies
    for extent in group.shape:
        elements *= extent
    is_tower = any(piece in group.pattern for piece in _TOWERS)
    in_layers = bool(group.layers) and not is_tower and max(group.layers) < shape.num_layers
    is_matrix = len(group.shape) > 1 and not is_tower
    cut = is_matrix and (in_layers or any(piece in group.pattern for piece in _EMBEDDINGS))
    width = headers.DTYPE_BITS.get(group.dtype, 16)
    # Weights in a floating-point type follow the model's dtype; all else stays as many bytes as it is.
    dtype = None if group.dtype in _FLOATS else "uint8"
    module = Module(
        group.pattern,
        Split.EVEN if cut else Split.REPLICATED,
        1,
        (elements if dtype is None else elements * width // 8,),
        fixed_dtype=dtype,
    )
    if in_layers:
        return Section(Stage.LAYERS, (module,), layers=group.layers)
    return Section(Stage.EVERY, (module,), repeats=max(1, len(group.layers)), tower=is_tower)
