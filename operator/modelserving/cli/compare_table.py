"""Comparisons as a person reads them in a terminal of 80 columns or more."""

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelserving.cli.bars import bar
from modelserving.cli.compare_case import Compared
from modelserving.cli.compare_figures import (
    LAYOUT_LEGEND,
    NONE,
    asked_text,
    context_text,
    gigabytes,
    gpu_figures,
    layout_text,
    rule_of_thumb_bytes,
    shape_title,
)
from modelserving.cli.compare_grouping import costs, remarks
from modelserving.cli.table import short
from modelserving.cluster.capacity import NodeShape
from modelserving.planning.comparison import Answer, Comparison, Row
from modelserving.planning.plan import Rejection
from modelserving.units import GIB

_INDENT = 2
_GAP = 2
# Columns of the first table before the kinds of node; where those do not fit beside them, they get a table of their own.
_WEIGHTS_WIDTH = 58
# Columns of one kind of node at least: `14 × 1`.
_SHAPE_WIDTH = 6
_LABEL = 24
_BAR = 14
# A terminal narrower than this has no room for bars beside the figures.
_WIDE = 100


def comparison_table(entry: Compared, width: int) -> RenderableType:
    """Lay out one comparison for a terminal of so many columns."""
    result = entry.result
    title = Text.assemble((f"{entry.name}  " if entry.name else "", "bold"), (entry.model, "cyan"))
    if isinstance(result, Rejection):
        return Group(title.append(f"  not compared: {result.reason}", style="bold red"), Text(result.message))
    facts = result.facts
    subtitle = f"{facts.parameter_count / 1e9:,.2f} billion parameters, stored in {facts.stored_precision}; {asked_text(result)}"
    parts: list[RenderableType] = [title, Text(subtitle)]
    if result.cannot_run:
        parts += [Text(), Text(result.cannot_run, style="bold red")]
    parts += [Text(), *_overview(result, width)]
    for position in range(len(result.shapes)):
        parts += [Text(), *_shape(result, position, width)]
    absent = [(row.method.label, row.method.absent) for row in result.rows if row.method.absent]
    parts += _listed("What vLLM does not have for this model", absent)
    parts += _costs(result)
    parts += _listed("Notes", (("", note) for note in result.notes))
    return Group(*parts)


def _overview(comparison: Comparison, width: int) -> list[RenderableType]:
    """What every method weighs, and the GPUs it takes on each kind of node: side by side where there is room."""
    rows = [row for row in comparison.rows if not row.method.absent]
    beside = width >= _WEIGHTS_WIDTH + sum(_GAP + _shape_width(shape) for shape in comparison.shapes)
    legend = Padding(Text(LAYOUT_LEGEND, style="dim"), (0, 0, 0, _INDENT))
    if beside:
        return [_weights(comparison, rows, with_gpus=True), legend]
    return [_weights(comparison, rows, with_gpus=False), Text(), _gpus(comparison, rows), legend]


def _weights(comparison: Comparison, rows: Sequence[Row], with_gpus: bool) -> Table:
    table = _grid("what it weighs", [])
    # Headings of several words go below each other.
    for column, columns in (("bytes a parameter", 9), ("GB", 6), ("rule of thumb", 7), ("GiB", 6)):
        table.add_column(Text(column, style="dim"), justify="right", width=columns)
    if with_gpus:
        _shape_columns(table, comparison)
    heading = ""
    for row in rows:
        if row.method.group != heading:
            heading = row.method.group
            table.add_row(Text(" " * _INDENT + heading, style="dim"))
        weights, each = row.weights_bytes, row.bytes_per_parameter
        cells = [
            f"{each:.3f}" if each is not None else NONE,
            gigabytes(weights) if weights is not None else NONE,
            gigabytes(rule_of_thumb_bytes(comparison, row)),
            f"{weights / GIB:,.1f}" if weights is not None else NONE,
        ]
        table.add_row(_label(row), *cells, *(_layouts(row) if with_gpus else ()))
    return table


def _gpus(comparison: Comparison, rows: Sequence[Row]) -> Table:
    table = _grid("GPUs it takes", [])
    _shape_columns(table, comparison)
    for row in rows:
        table.add_row(_label(row), *_layouts(row))
    return table


def _shape_columns(table: Table, comparison: Comparison) -> None:
    for shape in comparison.shapes:
        name = " ".join(_words(shape))
        table.add_column(Text(name, style="dim"), justify="right", width=_shape_width(shape))


def _words(shape: NodeShape) -> list[str]:
    """Words of a product's name: broken at its dashes, it goes into a narrow column."""
    return short(shape.gpu.product).split("-")


def _shape_width(shape: NodeShape) -> int:
    return max(_SHAPE_WIDTH, *(len(word) for word in _words(shape)))


def _layouts(row: Row) -> list[Text]:
    return [
        Text(layout_text(answer.layout), style="bold green" if answer.layout is not None else "dim")
        for answer in row.answers
    ]


def _shape(comparison: Comparison, position: int, width: int) -> list[RenderableType]:
    shape = comparison.shapes[position]
    found = [(row, row.answers[position]) for row in comparison.rows if row.answers and row.answers[position].layout]
    title = Text(short(shape_title(shape)), style="bold")
    parts: list[RenderableType] = [title]
    if found:
        parts += [_budget(found[0][1]), _answers(comparison, found, width)]
    parts.append(Padding(_entries(remarks(comparison, position)), (0, 0, 0, _INDENT)))
    return parts


def _budget(answer: Answer) -> RenderableType:
    if answer.layout is None:
        return Text()
    figures = gpu_figures(answer.layout)
    text = f"GiB of each GPU; {figures.budget / GIB:.2f} of {figures.memory / GIB:.2f} to spend"
    return Padding(Text(text, style="dim"), (0, 0, 0, _INDENT))


def _answers(comparison: Comparison, found: Iterable[tuple[Row, Answer]], width: int) -> Table:
    columns = ["GPUs", "weights", "cache", "total"]
    table = _grid("", columns)
    bar_width = _BAR if width >= _WIDE else 0
    if bar_width:
        table.add_column("", no_wrap=True, width=bar_width)
    for column in ("context up to", "at once"):
        table.add_column(Text(column, style="dim"), justify="right", no_wrap=True)
    for row, answer in found:
        if answer.layout is None:
            continue
        figures = gpu_figures(answer.layout)
        sizes = [f"{size / GIB:.1f}" for size in (figures.weights, figures.kv_cache, figures.total)]
        drawn = [Text(bar(figures.total, figures.budget, bar_width), style="blue")] if bar_width else []
        limits = [context_text(answer, comparison), f"{answer.layout.memory.max_concurrency:,.1f}"]
        table.add_row(_label(row), layout_text(answer.layout), *sizes, *drawn, *limits)
    return table


def _grid(first: str, columns: Iterable[str]) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    # Longer names, of checkpoints that the user names, are folded; so are all where a line would be too long.
    table.add_column(Text(" " * _INDENT + first, style="dim"), overflow="fold", max_width=_LABEL)
    for column in columns:
        table.add_column(Text(column, style="dim"), justify="right", no_wrap=True)
    return table


def _label(row: Row) -> Text:
    return Text(" " * _INDENT + row.method.label)


def _costs(comparison: Comparison) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(), Text("What it costs", style="bold")]
    for labels, cost in costs(comparison):
        table = Table.grid(padding=(0, _GAP, 0, 0))
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for name, text in (("quality", cost.quality), ("speed", cost.speed), ("evidence", cost.evidence)):
            table.add_row(name, Text(text))
        parts += [Padding(Text(labels), (0, 0, 0, _INDENT)), Padding(table, (0, 0, 0, 2 * _INDENT))]
    return parts


def _entries(entries: Iterable[tuple[str, str]]) -> RenderableType:
    return Group(*(Text.assemble((f"{label}: ", "bold"), short(message)) for label, message in entries))


def _listed(heading: str, entries: Iterable[tuple[str, str]]) -> list[RenderableType]:
    lines = [Text.assemble((f"{label}: " if label else "", "bold"), short(text)) for label, text in entries]
    if not lines:
        return []
    return [Text(), Text(heading, style="bold"), Padding(Group(*lines), (0, 0, 0, _INDENT))]
