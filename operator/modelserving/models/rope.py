"""Rotary position embedding: how long a context a model is made for, and how large vLLM's cache of it is.

Sources: vLLM config/model.py `_get_and_verify_max_len` and model_executor/layers/rotary_embedding/ (0.32).
"""

from dataclasses import dataclass

from modelserving.models.fields import LARGEST_SIZE, Fields

# Keys that may state the length, in vLLM's order; the smallest counts (config/model.py, `possible_keys`).
_LENGTH_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
# What vLLM assumes where config.json states no length (config/model.py, `default_max_len`).
_DEFAULT_LENGTH = 2048
# Types whose factor does not stretch max_position_embeddings, which holds the stretched length already.
_ALREADY_STRETCHED = frozenset(
    {"su", "longrope", "llama3", "mrope", "proportional", "default", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
)
# Types whose cache is made for the length before stretching, and stretched.
_FROM_ORIGINAL = frozenset({"yarn", "deepseek_yarn", "deepseek_llama_scaling"})
# The older name is the same (transformers_utils/config.py, patch_rope_parameters_dict).
_LONGROPE = frozenset({"longrope", "su"})
_LARGEST_FACTOR = 65536.0


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary embedding of a model.

    Attributes:
        cache_rows: positions in vLLM's cos/sin cache.
        partial_rotary_factor: share of a head that is rotated.
        max_model_len: longest context that vLLM takes unless told otherwise.
        is_multimodal: whether positions are of three kinds, text, height and width.
    """

    cache_rows: int
    partial_rotary_factor: float
    max_model_len: int
    is_multimodal: bool = False


def read_rope(text: Fields, default_length: int | None, default_partial: float = 1.0) -> Rope:
    """Read the rotary embedding of a language model's config.

    Args:
        text: the language model's part of config.json.
        default_length: max_position_embeddings of transformers' config class where the key is absent.
        default_partial: share of a head that is rotated where no key says so.

    Raises:
        InvalidFieldError: a field is of the wrong type or out of range.
    """
    lengths = [length for key in _LENGTH_KEYS if (length := text.optional_whole(key)) is not None]
    if not lengths and default_length is not None:
        lengths = [default_length]
    derived = float(text.optional_whole("model_max_length") or min(lengths, default=_DEFAULT_LENGTH))
    positions = text.optional_whole("max_position_embeddings") or default_length or int(derived)
    scaling = text.part("rope_parameters") or text.part("rope_scaling")
    if scaling is not None and not scaling.has("rope_type") and not scaling.has("type"):
        # Newer files state the rope of each kind of layers.
        scaling = scaling.part("full_attention") or scaling
    partial = text.number("partial_rotary_factor", default_partial, 0.01, 1.0)
    if scaling is None:
        return Rope(positions, partial, int(derived))
    partial = scaling.number("partial_rotary_factor", partial, 0.01, 1.0)
    kind = scaling.text("rope_type") or scaling.text("type", "default")
    factor = scaling.number("factor", 1.0, 1e-3, _LARGEST_FACTOR)
    rows = positions
    if kind not in _ALREADY_STRETCHED:
        derived *= factor
    if kind in _FROM_ORIGINAL:
        rows = int(scaling.whole("original_max_position_embeddings", default=positions) * factor)
    elif kind == "linear":
        rows = int(positions * factor)
    longest = int(derived)
    if max(rows, longest) > LARGEST_SIZE:
        raise scaling.fail("factor", f"small enough for a context of at most {LARGEST_SIZE} tokens")
    if kind in _LONGROPE:
        # Two caches one after the other, for short and for long contexts (phi3_long_rope_scaled_rope.py).
        longest = text.optional_whole("original_max_position_embeddings") or longest
        rows += longest
    return Rope(max(rows, 1), partial, max(longest, 1), kind == "mrope" or scaling.has("mrope_section"))
