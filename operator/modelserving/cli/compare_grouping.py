"""What is alike in a comparison, told once: methods that cost the same, that lead to the same, that the same thing stands in the way of."""

from collections.abc import Iterable

from modelserving.cluster.capacity import NodeShape
from modelserving.planning.comparison import Comparison
from modelserving.planning.comparison_costs import Cost
from modelserving.planning.comparison_trial import Layout


def costs(comparison: Comparison) -> list[tuple[str, Cost]]:
    """(methods, what they cost), for every method that vLLM has."""
    found: dict[Cost, list[str]] = {}
    for row in comparison.rows:
        if not row.method.absent:
            found.setdefault(row.method.cost, []).append(row.method.label)
    return [("; ".join(labels), cost) for cost, labels in found.items()]


def remarks(comparison: Comparison, position: int) -> list[tuple[str, str]]:
    """(methods, what there is to know of them) on the kind of node at a position: what works first, then what does not and why."""
    fails = [
        (row.method.label, row.answers[position].message)
        for row in comparison.rows
        if row.answers and row.answers[position].layout is None
    ]
    return [*works_with(comparison, position), *_joined(fails)]


def works_with(comparison: Comparison, position: int) -> list[tuple[str, str]]:
    """(methods, what there is to know of them) for the methods that work on the kind of node at a position."""
    found = []
    for row in comparison.rows:
        if row.answers and (layout := row.answers[position].layout) is not None:
            answer = row.answers[position]
            texts = (answer.note, missing_nodes(answer.shape, layout))
            found += [(row.method.label, text) for text in texts if text]
    return _joined(found)


def missing_nodes(shape: NodeShape, layout: Layout) -> str:
    """Say that a layout takes more nodes than there are; empty if it does not."""
    there = len(shape.nodes)
    if layout.nodes <= there:
        return ""
    return f"needs {layout.nodes} such nodes, there {'is 1' if there == 1 else f'are {there}'}"


def _joined(entries: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Entries with the same text as one."""
    found: dict[str, list[str]] = {}
    for label, text in entries:
        found.setdefault(text, []).append(label)
    return [("; ".join(labels), text) for text, labels in found.items()]
