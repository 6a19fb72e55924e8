"""Comparisons that several tests look at, made from the configs in `tests/data/configs` and nodes of `planning_cases`."""

from functools import cache
from pathlib import Path
from typing import Any

from modelserving.cli.compare_case import Compared
from modelserving.cli.compare_markdown import comparison_markdown
from modelserving.cli.exits import Exit
from modelserving.cli.inventory import Inventory
from modelserving.cluster.snapshot import ClusterSnapshot
from modelserving.models.metadata import CheckpointRef
from modelserving.planning.comparison import Answer, Comparison, Row, compare
from modelserving.planning.request import Checkpoint
from planning_cases import A100, H100, L40S, T4, cluster, facts, node, request

LLAVA, LLAVA_VIDEO, LLAMA, MIXTURE = "llava-onevision-72b", "llava-video-72b-qwen2", "llama31-8b", "qwen3-30b-a3b"
MIXED = cluster(*(node(product.lower(), product) for product in (H100, A100, L40S, T4)))


@cache
def compared(model: str, context: int | None = 32768, concurrency: int = 4, **fields: Any) -> Comparison:
    """Compare all methods for one of the configs on the mixed nodes."""
    return compared_on(MIXED, model, context_length=context, concurrency=concurrency, **fields)


def compared_on(nodes: ClusterSnapshot, model: str, *variants: Checkpoint, **fields: Any) -> Comparison:
    """Compare all methods for one of the configs on these nodes."""
    names = (model, *(variant.ref.model for variant in variants))
    known = {CheckpointRef(name): facts(name) for name in names}
    result = compare(request(model, *variants, **fields), known, nodes)
    assert isinstance(result, Comparison), result
    return result


def row(comparison: Comparison, key: str) -> Row:
    """The row of a method."""
    return next(found for found in comparison.rows if found.method.key == key)


def answer(comparison: Comparison, key: str, product: str) -> Answer:
    """What a method takes on nodes of a product."""
    return next(found for found in row(comparison, key).answers if found.shape.gpu.product == product)


def entry(comparison: Comparison, name: str = "llava") -> Compared:
    """A comparison as the command line has it."""
    return Compared(name, comparison.facts.model, comparison, Exit.PLANNED if comparison.works else Exit.REJECTED)


INVENTORY = Inventory(MIXED, "nodes.yaml")
GOLDEN = Path(__file__).parent / "golden" / "comparison.md"


def golden() -> str:
    """What the golden file should hold."""
    return comparison_markdown([entry(compared(LLAVA))]) + "\n"


if __name__ == "__main__":
    GOLDEN.write_text(golden(), encoding="utf-8")
