"""One figure: what it is, what the field has, what we aim at, what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        what: what was measured.
        theirs: what the best of the field was measured at on the same set-up, November 2026: Kubernetes 1.37.2 with kwok, 130 nodes
            of 8 GPUs, 2 cores, counts from the audit log; KubeAI f442a2cd, production-stack operator a6c01db0, KAITO 056b8280.
        ours: as measured.
        aim: the value that is just good enough; None where there is no aim.
        unit: of `ours` and `aim`.
        note: more on how it came about.
        more_is_better: whether the aim is the smallest value that is good enough, and not the largest.
        floor: what an operator that decides nothing was measured at on this machine, minutes before; None where it was not.
    """

    what: str
    theirs: str
    ours: float
    aim: float | None
    unit: str = ""
    note: str = ""
    more_is_better: bool = False
    floor: float | None = None

    @property
    def is_met(self) -> bool:
        """Whether the aim is met; true where there is none."""
        if self.aim is None:
            return True
        return self.ours >= self.aim if self.more_is_better else self.ours <= self.aim


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def table(figures: Sequence[Figure]) -> RenderableType:
    """Lay out the figures, and below them what there is to say about some."""
    laid = Table(box=None, pad_edge=False, header_style="dim")
    laid.add_column("figure")
    laid.add_column("theirs, best", justify="right")
    laid.add_column("floor here", justify="right")
    laid.add_column("ours", justify="right")
    laid.add_column("aim", justify="right")
    laid.add_column("")
    for figure in figures:
        mark = "" if figure.aim is None else "met" if figure.is_met else "missed"
        laid.add_row(
            figure.what,
            figure.theirs,
            "" if figure.floor is None else _number(figure.floor, figure.unit),
            Text(_number(figure.ours, figure.unit), style="bold"),
            "" if figure.aim is None else f"{'≥' if figure.more_is_better else '≤'} {_number(figure.aim, figure.unit)}",
            Text(mark, style="green" if figure.is_met else "red"),
        )
    notes = [Text(f"{figure.what}: {figure.note}", style="dim") for figure in figures if figure.note]
    return Group(laid, *([Text(), *notes] if notes else []))


def _number(value: float, unit: str) -> str:
    digits = 0 if float(value).is_integer() else 2 if abs(value) < 10 else 1
    return f"{value:,.{digits}f} {unit}".strip()
