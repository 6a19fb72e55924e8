"""Comparisons as Markdown: tables that GitHub and any wiki show."""

from collections.abc import Iterable, Iterator, Sequence

from modelserving.cli.compare_case import Compared
from modelserving.cli.compare_figures import (
    LAYOUT_LEGEND,
    NONE,
    asked_text,
    context_text,
    gigabytes,
    gpu_figures,
    layout_sentence,
    layout_text,
    rule_of_thumb_bytes,
    shape_title,
)
from modelserving.cli.compare_grouping import costs, remarks
from modelserving.planning.comparison import Comparison, Row
from modelserving.units import GIB, format_gib

# Characters that Markdown would take for markup in what users wrote.
_MARKUP = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|~"})


def comparison_markdown(compared: Sequence[Compared]) -> str:
    """Write all comparisons."""
    return "\n".join(line for entry in compared for line in _entry(entry)).rstrip("\n")


def _entry(entry: Compared) -> Iterator[str]:
    result = entry.result
    yield from (f"# {_text(f'{entry.name}: {entry.model}' if entry.name else entry.model)}", "")
    if not isinstance(result, Comparison):
        yield from (f"**{result.reason}**: {_text(result.message)}", "")
        return
    facts = result.facts
    yield from (
        f"{facts.parameter_count / 1e9:,.2f} billion parameters, stored in {facts.stored_precision}; {asked_text(result)}.",
        "",
    )
    if result.cannot_run:
        yield from (f"> **{_text(result.cannot_run)}**", "")
    yield from _weights(result)
    for position, shape in enumerate(result.shapes):
        yield from _shape(result, position, shape_title(shape))
    yield from _listed("What vLLM does not have", ((row.method.label, row.method.absent) for row in _absent(result)))
    yield from _costs(result)
    yield from _listed("Notes", (("", note) for note in result.notes))


def _weights(comparison: Comparison) -> Iterator[str]:
    products = [shape.gpu.product for shape in comparison.shapes]
    yield from ("## What it weighs, and the GPUs it takes", "")
    yield from _table(
        ["Method", "Bytes a parameter", "Weights, GB", "Rule of thumb, GB", "Weights, GiB", *products],
        [_weights_row(comparison, row) for row in comparison.rows if not row.method.absent],
    )
    yield from ("", LAYOUT_LEGEND, "")


def _weights_row(comparison: Comparison, row: Row) -> list[str]:
    weights, each = row.weights_bytes, row.bytes_per_parameter
    return [
        row.method.label,
        f"{each:.3f}" if each is not None else NONE,
        gigabytes(weights) if weights is not None else NONE,
        gigabytes(rule_of_thumb_bytes(comparison, row)),
        f"{weights / GIB:,.1f}" if weights is not None else NONE,
        *(layout_text(answer.layout) for answer in row.answers),
    ]


def _shape(comparison: Comparison, position: int, title: str) -> Iterator[str]:
    yield from (f"## {_text(title)}", "")
    answers = [(row.method.label, row.answers[position]) for row in comparison.rows if row.answers]
    found = [(label, answer) for label, answer in answers if answer.layout is not None]
    if found and (layout := found[0][1].layout) is not None:
        figures = gpu_figures(layout)
        yield from (
            f"GiB of each GPU; {format_gib(figures.budget, 2)} of {format_gib(figures.memory, 2)} to spend.",
            "",
        )
        columns = [
            "Method",
            "Layout",
            "Weights",
            "KV cache",
            "All else",
            "Total",
            "Longest context",
            "Requests at once",
        ]
        rows = []
        for label, answer in found:
            if answer.layout is None:
                continue
            sizes = gpu_figures(answer.layout)
            other = sizes.activation_peak + sizes.cuda_graphs + sizes.non_torch
            gib = [f"{size / GIB:,.1f}" for size in (sizes.weights, sizes.kv_cache, other, sizes.total)]
            limits = [context_text(answer, comparison), f"{answer.layout.memory.max_concurrency:,.1f}"]
            rows.append([label, layout_sentence(answer.layout), *gib, *limits])
        yield from _table(columns, rows)
        yield ""
    for label, message in remarks(comparison, position):
        yield f"* {_text(label)}: {_text(message)}"
    yield ""


def _absent(comparison: Comparison) -> list[Row]:
    return [row for row in comparison.rows if row.method.absent]


def _costs(comparison: Comparison) -> Iterator[str]:
    yield from ("## What it costs", "")
    rows = [[labels, cost.quality, cost.speed, cost.evidence] for labels, cost in costs(comparison)]
    yield from _table(["Method", "Quality", "Speed", "Evidence"], rows)
    yield ""


def _listed(heading: str, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    lines = [f"* {_text(label)}: {_text(text)}" if label else f"* {_text(text)}" for label, text in entries]
    if lines:
        yield from (f"## {heading}", "", *lines, "")


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(_text(column) for column in columns)} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    for row in rows:
        yield f"| {' | '.join(_text(cell) for cell in row)} |"


def _text(text: str) -> str:
    return " ".join(text.split()).translate(_MARKUP)
