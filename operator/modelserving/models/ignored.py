"""Which modules a quantized checkpoint leaves as they are.

vLLM compares names in three ways: AWQ by substring, `re:` entries of compressed-tensors as regular expressions, all
others whole (vLLM 0.32: layers/quantization/utils/quant_utils.py `is_layer_skipped`, compressed_tensors/utils.py
`should_ignore_layer`, auto_awq.py `is_layer_skipped_awq`). A regular expression from a stranger may take for ever to
match, so only the kind people write is understood: names, dots, `.*`, `(a|b)`, `^` and `$`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from modelserving.models.facts import Module, Quantization

_PREFIX = "re:"
# Methods that compare by substring (ModelOpt besides whole names and wildcards).
_BY_PIECE = frozenset({"awq", "modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed"})
_WILDCARD = ".*"
_LONGEST_PATTERN = 256
_MOST_CHOICES = 64
# Lists read lately, so that the next layer finds its own; a checkpoint has one, and one for each scheme of its own.
_LISTS_KEPT = 64
_CHOICE = re.compile(r"\(([A-Za-z0-9_|]*)\)")
_PLAIN = re.compile(r"[A-Za-z0-9_\-.\\*^$]*")


def scheme_of(module: Module, index: int, quantization: Quantization) -> Quantization | None:
    """How a module of a layer is stored; None for as it is.

    A fused module follows its parts. Patterns that cannot be read match nothing; `unreadable` lists them.
    """
    names = _names(module, index)
    if _any_names(quantization.ignored, names, quantization.method):
        return None
    for entries, scheme in quantization.overrides:
        if _any_names(entries, names, quantization.method):
            return scheme
    return None if quantization.only_named else quantization


def tells_layers_apart(quantization: Quantization) -> bool:
    """Whether some entry may hold for one layer and not for the next: only one with a digit in it can."""
    entries = (*quantization.ignored, *(entry for named, _ in quantization.overrides for entry in named))
    return any(character.isdigit() for entry in entries for character in entry)


def is_ignored(module: Module, index: int, quantization: Quantization) -> bool:
    """Whether a module of a layer is left unquantized."""
    return scheme_of(module, index, quantization) is None


def _names(module: Module, index: int) -> tuple[tuple[str, ...], ...]:
    """Names a module goes by: all of any one tuple must match. Routed experts go by their common name or the first's."""
    parts = tuple(name.replace("*", str(index), 1) for name in (module.sources or (module.name,)))
    fused = (module.name.replace("*", str(index), 1),)
    if not module.experts:
        return (parts, fused)
    owner = module.owner.replace("*", str(index), 1)
    return (tuple(name.replace("*", "0", 1) for name in parts), (owner,))


def _any_names(entries: tuple[str, ...], names: tuple[tuple[str, ...], ...], method: str) -> bool:
    matcher = _matcher(entries, method)
    return any(all(matcher.matches(name) for name in together) for together in names)


@dataclass(frozen=True, slots=True)
class _Matcher:
    """Entries of one list, read once: a list may have thousands, and every module of every layer is looked up in it.

    Attributes:
        exact: whole names.
        pieces: texts that match wherever they stand.
        wild: literal texts between wildcards, and whether a name must end with the last.
    """

    exact: frozenset[str]
    pieces: tuple[str, ...]
    wild: tuple[tuple[tuple[str, ...], bool], ...]

    def matches(self, name: str) -> bool:
        if name in self.exact:
            return True
        if any(piece in name for piece in self.pieces):
            return True
        return any(_matches_pieces(literals, name, anchored) for literals, anchored in self.wild)


@lru_cache(maxsize=_LISTS_KEPT)
def _matcher(entries: tuple[str, ...], method: str) -> _Matcher:
    pieces: list[str] = []
    wild: list[tuple[tuple[str, ...], bool]] = []
    for entry in entries:
        if entry.startswith(_PREFIX):
            for pattern in _alternatives(entry) or ():
                literals = _pieces(pattern)
                if literals is not None:
                    wild.append((tuple(literals), pattern.endswith("$")))
        elif "*" in entry:
            wild.append((tuple(entry.split("*")), True))
        elif method in _BY_PIECE:
            pieces.append(entry)
    return _Matcher(frozenset(entries), tuple(pieces), tuple(wild))


def unreadable(quantization: Quantization) -> tuple[str, ...]:
    """Entries of the ignore list that cannot be read."""
    return tuple(entry for entry in quantization.ignored if entry.startswith(_PREFIX) and not _is_readable(entry))


def _is_readable(entry: str) -> bool:
    found = _alternatives(entry)
    return found is not None and all(_pieces(pattern) is not None for pattern in found)


def _alternatives(entry: str) -> tuple[str, ...] | None:
    """Patterns without `(a|b)`, one for each choice; None where there are too many."""
    found = [entry]
    for _ in range(_MOST_CHOICES):
        opened = next((pattern for pattern in found if _CHOICE.search(pattern)), None)
        if opened is None:
            return tuple(found)
        match = _CHOICE.search(opened)
        if match is None or len(opened) > _LONGEST_PATTERN:
            return None
        found.remove(opened)
        found += [opened[: match.start()] + choice + opened[match.end() :] for choice in match.group(1).split("|")]
        if len(found) > _MOST_CHOICES:
            return None
    return None


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
