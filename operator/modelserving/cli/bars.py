"""Bars of block characters, an eighth of a column exact."""

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"


def bar(value: float, whole: float, width: int) -> str:
    """Draw `value` as a share of `whole`, which takes `width` columns.

    What is there at all shows at least the thinnest line; nothing is longer than `width`.
    """
    if value <= 0 or whole <= 0 or width <= 0:
        return ""
    eighths = min(width * 8, max(1, round(value / whole * width * 8)))
    full, rest = divmod(eighths, 8)
    return _FULL * full + (_EIGHTHS[rest] if rest else "")
