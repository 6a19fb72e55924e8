"""Which modules a quantized checkpoint leaves as they are.

vLLM compares names in three ways: AWQ by substring, `re:` entries of compressed-tensors as regular expressions, all
others whole (vLLM 0.32: layers/quantization/utils/quant_utils.py `is_layer_skipped`, compressed_tensors/utils.py
`should_ignore_layer`, auto_awq.py `is_layer_skipped_awq`). A regular expression from a stranger may take for ever to
match, so only the kind people write is understood: names, dots, `.*`, `^` and `$`.
"""

import re
from collections.abc import Iterable

from modelserving.models.facts import Module, Quantization

_PREFIX = "re:"
_WILDCARD = ".*"
_LONGEST_PATTERN = 256
_PLAIN = re.compile(r"[A-Za-z0-9_\-.\\*^$]*")


def is_ignored(module: Module, index: int, quantization: Quantization) -> bool:
    """Whether a module of a layer is left unquantized; a fused module is when all its parts are.

    Patterns that cannot be read match nothing; `unreadable` lists them.
    """
    names = [name.replace("*", str(index), 1) for name in (module.sources or (module.name,))]
    return all(any(_matches(entry, name, quantization.method) for entry in quantization.ignored) for name in names)


def unreadable(quantization: Quantization) -> tuple[str, ...]:
    """Entries of the ignore list that cannot be read."""
    return tuple(entry for entry in quantization.ignored if entry.startswith(_PREFIX) and _pieces(entry) is None)


def _matches(entry: str, name: str, method: str) -> bool:
    if entry.startswith(_PREFIX):
        pieces = _pieces(entry)
        return pieces is not None and _matches_pieces(pieces, name, anchored=entry.endswith("$"))
    if method == "awq":
        return entry in name
    if method.startswith("modelopt"):
        return _matches_pieces(entry.split("*"), name, anchored=True)
    return entry == name


def _pieces(entry: str) -> list[str] | None:
    """Literal texts between wildcards; None for a pattern that is more than that."""
    pattern = entry.removeprefix(_PREFIX).removeprefix("^").removesuffix("$")
    if len(pattern) > _LONGEST_PATTERN or not _PLAIN.fullmatch(pattern):
        return None
    literals = [piece.replace("\\.", ".") for piece in pattern.split(_WILDCARD)]
    return None if any(character in piece for piece in literals for character in "\\*^$") else literals


def _matches_pieces(pieces: Iterable[str], name: str, anchored: bool) -> bool:
    """Match literals with anything between them, from the start of the name; to its end if anchored."""
    first, *rest = pieces
    if not name.startswith(first):
        return False
    position = len(first)
    for piece in rest[:-1] if anchored else rest:
        found = name.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    if not anchored:
        return True
    return position == len(name) if not rest else len(name) - position >= len(rest[-1]) and name.endswith(rest[-1])
