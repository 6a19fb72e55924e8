"""Comparisons as one page of HTML: everything in it, nothing fetched, no script.

    <svg viewBox="0 0 MiB 30">   one bar; its rectangles are as wide as their bytes, in MiB, and stretch with the page

The template is Jinja2's, with every value escaped; this module only says what stands in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from modelserving import __version__
from modelserving.cli.compare_case import Compared
from modelserving.cli.compare_figures import (
    NONE,
    asked_text,
    gigabytes,
    gpu_figures,
    is_whole_context,
    layout_sentence,
    layout_text,
    requests_text,
    rule_of_thumb_bytes,
    shape_title,
)
from modelserving.cli.compare_grouping import costs, works_with
from modelserving.cli.inventory import Inventory
from modelserving.planning.comparison import Answer, Comparison, Row
from modelserving.planning.comparison_formats import Group
from modelserving.planning.comparison_trial import Layout
from modelserving.units import GIB, MIB, format_gib

_TERMS = (
    ("weights", "weights"),
    ("kv", "KV cache asked for"),
    ("activation", "activation peak"),
    ("graphs", "CUDA graphs"),
    ("other", "driver and NCCL"),
    ("spare", "spare, used as KV cache"),
)
_COLUMNS = ("Weights", "KV cache", "Activation peak", "CUDA graphs", "Driver, NCCL", "Total", "Spare", "In host memory")
_SIXTEEN_EIGHT_FOUR = (Group.SIXTEEN, Group.EIGHT, Group.FOUR)
# Room beside the longest bar of the first chart.
_MARGIN = 1.02
# Capacities closer than this share of the chart have one line.
_ONE_LINE = 0.012


def comparison_page(compared: Sequence[Compared], inventory: Inventory) -> str:
    """Write all comparisons as a page."""
    environment = Environment(
        loader=PackageLoader("modelserving.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=False,
    )
    return environment.get_template("comparison.html").render(
        title=f"{', '.join(entry.model for entry in compared)}: methods compared",
        entries=[_entry(entry) for entry in compared],
        nodes=inventory.sentence,
        version=__version__,
    )


def _entry(entry: Compared) -> dict[str, Any]:
    result = entry.result
    if not isinstance(result, Comparison):
        return {"name": entry.name, "model": entry.model, "problem": f"{result.reason}: {result.message}"}
    facts = result.facts
    return {
        "name": entry.name,
        "model": entry.model,
        "problem": "",
        "subtitle": f"{facts.parameter_count / 1e9:,.2f} billion parameters, stored in {facts.stored_precision}; {asked_text(result)}.",
        "requests": requests_text(result),
        "cannot_run": result.cannot_run,
        "headline": list(_headline(result)),
        "whole": _whole(result),
        "kinds": [_kind(result, position) for position in range(len(result.shapes))],
        "absent": [(row.method.label, row.method.absent) for row in result.rows if row.method.absent],
        "costs": costs(result),
        "notes": result.notes,
    }


def _headline(comparison: Comparison) -> Iterator[dict[str, str]]:
    """The lightest method of 16, 8 and 4 bits, beside the rule of thumb."""
    for group in _SIXTEEN_EIGHT_FOUR:
        rows = [row for row in comparison.rows if row.method.group is group and row.weights_bytes is not None]
        lightest = min(rows, key=lambda row: row.weights_bytes or 0, default=None)
        if lightest is None or lightest.weights_bytes is None:
            continue
        yield {
            "name": f"{group}: {lightest.method.label}",
            "figure": f"{gigabytes(lightest.weights_bytes)} GB",
            "aside": f"by rule of thumb {gigabytes(rule_of_thumb_bytes(comparison, lightest))} GB",
        }


def _whole(comparison: Comparison) -> dict[str, Any]:
    rows = [row for row in comparison.rows if row.weights_bytes is not None and row.method.group is not Group.SAME]
    rows += [row for row in comparison.rows if row.method.key == "fp8KvCache"]
    budgets = sorted(
        (_budget(comparison, shape.gpu.memory_total_bytes), shape.gpu.product) for shape in comparison.shapes
    )
    longest = max((_both(row) for row in rows), default=0)
    scale = int(max(longest, budgets[-1][0]) * _MARGIN)
    letters = [chr(ord("A") + index % 26) for index in range(len(budgets))]
    keys = [*_TERMS[:2]]
    keys += [
        ("line", f"{letter}: {product}, {format_gib(budget)} to spend")
        for letter, (budget, product) in zip(letters, budgets, strict=True)
    ]
    return {
        "scale": _mib(scale),
        "scale_bytes": scale,
        "legend": keys,
        "lines": list(_lines([budget for budget, _ in budgets], letters, scale)),
        "rows": list(_headed((row, _whole_row(row)) for row in rows)),
    }


def _budget(comparison: Comparison, total: int) -> int:
    share = comparison.request.gpu_memory_utilization or comparison.version.gpu_memory_utilization
    return int(total * share)


def _both(row: Row) -> int:
    return (row.weights_bytes or 0) + (row.kv_cache_bytes or 0)


def _lines(budgets: Sequence[int], letters: Sequence[str], scale: int) -> Iterator[dict[str, str]]:
    """Capacity lines; those too close to be told apart as one."""
    groups: list[tuple[int, list[str]]] = []
    for budget, letter in zip(budgets, letters, strict=True):
        if groups and budget - groups[-1][0] < scale * _ONE_LINE:
            groups[-1][1].append(letter)
        else:
            groups.append((budget, [letter]))
    for budget, near in groups:
        yield {"at": _mib(budget), "percent": f"{100 * budget / scale:.2f}", "letters": " ".join(near)}


def _whole_row(row: Row) -> dict[str, Any]:
    sizes = [row.weights_bytes or 0, row.kv_cache_bytes or 0]
    return {
        "label": row.method.label,
        "parts": _parts(sizes),
        "spoken": _spoken(sizes),
        "weights": gigabytes(sizes[0]),
        "each": f"{row.bytes_per_parameter:.3f}" if row.bytes_per_parameter is not None else NONE,
    }


def _kind(comparison: Comparison, position: int) -> dict[str, Any]:
    shape = comparison.shapes[position]
    total = shape.gpu.memory_total_bytes
    budget = _budget(comparison, total)
    rows = [row for row in comparison.rows if row.answers]
    found = [(row, row.answers[position]) for row in rows]
    return {
        "title": shape_title(shape),
        "lead": f"Each bar is one GPU of the fewest that work. CUDA reports {format_gib(total, 2)}, of which vLLM may "
        f"spend {format_gib(budget, 2)}.",
        "legend": [*_TERMS, ("line", "what vLLM may spend"), ("edge", "what the GPU has")],
        "scale": _mib(total),
        "scale_bytes": total,
        "budget_at": _mib(budget),
        "budget_percent": f"{100 * budget / total:.2f}",
        "budget": f"{budget / GIB:.1f}",
        "memory": f"{total / GIB:.1f}",
        "rows": list(_headed((row, _bar_row(comparison, row, answer)) for row, answer in found)),
        "columns": _COLUMNS,
        "figures": [_figures(row, answer.layout) for row, answer in found if answer.layout is not None],
        "remarks": works_with(comparison, position),
    }


def _bar_row(comparison: Comparison, row: Row, answer: Answer) -> dict[str, Any]:
    layout = answer.layout
    if layout is None:
        return {"label": row.method.label, "why": answer.message}
    sizes = _sizes(layout)
    return {
        "label": row.method.label,
        "why": "",
        "parts": _parts(sizes),
        "spoken": _spoken(sizes),
        "gpus": layout_text(layout),
        "gpu_word": "GPU" if layout.gpus == 1 else "GPUs",
        "context": f"{answer.longest_context:,}",
        "whole": " (all)" if is_whole_context(answer, comparison) else "",
        "at_once": f"{layout.memory.max_concurrency:,.1f}",
    }


def _figures(row: Row, layout: Layout) -> dict[str, Any]:
    figures = gpu_figures(layout)
    *terms, spare = _sizes(layout)
    offloaded = layout.memory.tightest_rank.offloaded_bytes
    cells = [f"{size / GIB:,.2f}" for size in (*terms, figures.total, spare)]
    return {
        "label": row.method.label,
        "layout": layout_sentence(layout),
        "cells": [*cells, f"{offloaded / GIB:,.2f}" if offloaded else NONE],
    }


def _sizes(layout: Layout) -> list[int]:
    figures = gpu_figures(layout)
    return [
        *(figures.weights, figures.kv_cache, figures.activation_peak),
        *(figures.cuda_graphs, figures.non_torch, figures.spare),
    ]


def _parts(sizes: Sequence[int]) -> list[dict[str, Any]]:
    parts, start = [], 0
    for (kind, name), size in zip(_TERMS, sizes, strict=False):
        if size > 0:
            text = f"{name}: {format_gib(size, 2)}"
            parts.append({"kind": kind, "start": _mib(start), "width": _mib(size), "bytes": size, "text": text})
        start += max(0, size)
    return parts


def _spoken(sizes: Sequence[int]) -> str:
    return ", ".join(f"{name} {format_gib(size)}" for (_, name), size in zip(_TERMS, sizes, strict=False) if size > 0)


def _headed(rows: Iterable[tuple[Row, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Rows, the first of each group with its heading."""
    heading = ""
    for row, shown in rows:
        group = str(row.method.group)
        yield shown | {"heading": group if group != heading else ""}
        heading = group


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / MIB:.2f}"
