"""Plans and rejections as a person reads them in a terminal of 80 columns or more."""

import re
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelserving.cli.bars import bar
from modelserving.planning.explanation import requests
from modelserving.planning.plan import Plan, Rejected, Rejection
from modelserving.sizing.budget import Term
from modelserving.units import GIB

WIDEST_BAR = 44
# Rejected candidates shown before the rest is only counted; `-o yaml` has them all.
MOST_REJECTED = 8
_INDENT = 2
_COMMIT_LENGTH = 40
_MAKER = re.compile(r"\b(NVIDIA|Tesla)-(?=[A-Z])")
_LABEL_GAP = 2
_FIGURE_WIDTH = 7


def plan_table(name: str, plan: Plan, width: int) -> RenderableType:
    """Lay out a plan: what runs where, each term against the budget, what was rejected and what else would work."""
    parts: list[RenderableType] = [
        *_title(name, plan, width),
        _placement(plan),
        Text(),
        _budget(plan, width),
        *_summary(plan),
    ]
    if plan.placement.waiting:
        parts += [Text(), Text(plan.placement.waiting, style="yellow")]
    parts += _rejected(plan.rejected)
    parts += _listed("Works too", ((entry.candidate, entry.message) for entry in plan.alternatives))
    parts += _listed("Notes", (("", note) for note in plan.notes))
    return Group(*parts)


def rejection_table(name: str, model: str, rejection: Rejection) -> RenderableType:
    """Lay out a rejection: the reason, the sentence, every candidate with its figures."""
    title = Text.assemble((name, "bold"), "  ", model, "  ", (f"rejected: {rejection.reason}", "bold red"))
    parts: list[RenderableType] = [title, Text(rejection.message)]
    parts += _rejected(rejection.rejected if len(rejection.rejected) > 1 else ())
    parts += _listed(
        "Would run with", ((remedy.change, remedy.message) for remedy in rejection.remedies), style="green"
    )
    parts += _listed("Notes", (("", note) for note in rejection.notes))
    return Group(*parts)


def _title(name: str, plan: Plan, width: int) -> list[RenderableType]:
    revision = plan.revision[:7] if len(plan.revision) == _COMMIT_LENGTH else plan.revision
    title = Text.assemble((name, "bold"), "  ", (plan.model, "cyan"), (f" @ {revision}", "dim"))
    precision = _precision(plan)
    if len(title) + _LABEL_GAP + len(precision) > width:
        return [title, Text(precision)]
    return [title.append(" " * _LABEL_GAP + precision)]


def _precision(plan: Plan) -> str:
    if plan.quantization is None:
        return f"{plan.precision}, {'as stored' if plan.stored else 'cast while loading'}"
    return f"{plan.precision} ({plan.quantization}{', as stored' if plan.stored else ', quantized while loading'})"


def _placement(plan: Plan) -> Text:
    place = plan.placement
    nodes = "one node" if place.nodes_per_replica == 1 else f"{place.nodes_per_replica} nodes"
    parallel = [f"tensor parallel {plan.config.tensor_parallel_size}"] if plan.config.tensor_parallel_size > 1 else []
    if plan.config.pipeline_parallel_size > 1:
        parallel.append(f"pipeline parallel {plan.config.pipeline_parallel_size}")
    if plan.config.enable_expert_parallel:
        parallel.append("whole experts")
    if plan.config.data_parallel_size > 1:
        parallel.append(f"{plan.config.data_parallel_size} engines (data parallel)")
    gpus = f"{plan.gpus_per_replica} × {place.gpu_product}"
    told = Text.assemble((gpus, "bold green"), ", ".join([f" on {nodes}", *parallel, f"vLLM {plan.engine_version}"]))
    if plan.given_up:
        told.append(f"\nfallbacks taken: {', '.join(plan.given_up)}", style="yellow")
    return told


def _budget(plan: Plan, width: int) -> Table:
    memory, rank = plan.memory, plan.memory.tightest_rank
    requested = memory.kv_cache.requested_bytes
    rows: list[tuple[str, Term, str]] = [
        ("weights", rank.weights, "blue"),
        (_kv_label(plan), Term.exact(requested, ""), "cyan"),
        ("activation peak", rank.activation_peak, "magenta"),
        ("CUDA graphs", rank.cuda_graphs, "yellow"),
        ("driver and NCCL", rank.non_torch, "bright_black"),
        ("spare, used as KV cache", _spare(plan), "green"),
    ]
    budget = f"budget, {plan.config.gpu_memory_utilization:g} × {memory.total_bytes / GIB:.2f}"
    label_width = max(len(label) for label in [*(row[0] for row in rows), budget])
    room = width - _INDENT - label_width - _FIGURE_WIDTH - 2 * _LABEL_GAP
    table = _grid(label_width)
    heading = "each GPU" if plan.gpus_per_replica > 1 else "the GPU"
    table.add_row(Text(" " * _INDENT + heading, style="dim"), Text("GiB ", style="dim"), "")
    for label, term, style in rows:
        drawn = bar(term.value, memory.budget_bytes, min(WIDEST_BAR, room))
        table.add_row(" " * _INDENT + label, _figure(term), Text(drawn, style=style))
    scale = Text("─" * min(WIDEST_BAR, room), style="dim")
    whole = Term.exact(memory.budget_bytes, "")
    table.add_row(Text(" " * _INDENT + budget, style="bold"), Text(_figure(whole), style="bold"), scale)
    return table


def _grid(label_width: int) -> Table:
    table = Table(box=None, show_header=False, show_edge=False, padding=(0, _LABEL_GAP, 0, 0), pad_edge=False)
    table.add_column(width=label_width + _INDENT, no_wrap=True)
    table.add_column(width=_FIGURE_WIDTH, justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="crop")
    return table


def _kv_label(plan: Plan) -> str:
    length = f"{plan.config.max_model_len:,} tokens"
    return (
        f"KV cache, {requests(plan.concurrency, plan.config)}{length}"
        if plan.concurrency > 1
        else f"KV cache, {length}"
    )


def _spare(plan: Plan) -> Term:
    rank, requested = plan.memory.tightest_rank, plan.memory.kv_cache.requested_bytes
    value, low = rank.kv_cache_available - requested, rank.kv_cache_available_low - requested
    return Term(max(0, value), max(0, low), max(0, value), "")


def _figure(term: Term) -> str:
    """Two digits where the figure is exact, one where it is an estimate, the points below each other."""
    gib = term.value / GIB
    return f"{gib:.2f}" if term.low == term.high else f"{gib:.1f} "


def _summary(plan: Plan) -> list[RenderableType]:
    memory = plan.memory
    lines = [
        f"KV cache of {memory.kv_cache_tokens:,} tokens in all: {memory.max_concurrency:.1f} requests of full length at once"
    ]
    if offloaded := memory.tightest_rank.offloaded_bytes:
        lines.append(
            f"{offloaded / GIB:.1f} GiB of each GPU's weights stay in host memory, read over PCIe at every step"
        )
    if plan.placement.waiting == "" and plan.placement.free_now > 0:
        free = plan.placement.free_now
        lines.append(
            f"free when planned: room for {free} {'replica' if free == 1 else 'replicas'} on {plan.placement.gpu_product}"
        )
    return [Text(), *(Padding(Text(line), (0, 0, 0, _INDENT)) for line in lines)]


def _rejected(rejected: Sequence[Rejected]) -> list[RenderableType]:
    rows = list(_folded(rejected))
    more = len(rows) - MOST_REJECTED
    shown = rows[:MOST_REJECTED]
    if more > 0:
        shown.append(("…", f"{more} more; -o yaml lists them all"))
    return _listed("Rejected", shown, style="red")


def _folded(rejected: Sequence[Rejected]) -> Iterable[tuple[str, str]]:
    """Join what is alike: of candidates that memory decides the nearest speaks for its product, a rule speaks for all products."""
    groups: dict[tuple[str, ...], list[Rejected]] = {}
    for entry in rejected:
        alike = (entry.gpu_product, entry.reason) if entry.shortfall_bytes else (entry.message,)
        groups.setdefault(alike, []).append(entry)
    for entries in groups.values():
        nearest = min(entries, key=lambda entry: (entry.shortfall_bytes, entry.gpus))
        counts = sorted({entry.gpus for entry in entries})
        products = {entry.gpu_product for entry in entries}
        if len(products) > 1:
            yield f"{_counts(counts)} GPU{'' if counts == [1] else 's'}", nearest.message
        elif len(counts) > 1:
            yield f"{_counts(counts)} × {nearest.gpu_product}", nearest.message
        else:
            yield nearest.candidate, nearest.message


def _counts(counts: Sequence[int]) -> str:
    """`1–4` for a run, `3, 5, 6` for the rest."""
    whole = len(counts) > 1 and counts[-1] - counts[0] + 1 == len(counts)
    return f"{counts[0]}–{counts[-1]}" if whole else ", ".join(str(count) for count in counts)


def _listed(heading: str, rows: Iterable[tuple[str, str]], style: str = "bold") -> list[RenderableType]:
    entries = list(rows)
    if not entries:
        return []
    table = Table.grid(padding=(0, _LABEL_GAP, 0, 0))
    has_labels = any(label for label, _ in entries)
    if has_labels:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, message in entries:
        cells = [label, message] if has_labels else [message]
        table.add_row(*(Text(short(cell)) for cell in cells))
    return [Text(), Text(heading, style=style), Padding(table, (0, 0, 0, _INDENT))]


def short(text: str) -> str:
    """Leave the maker out of product labels, which otherwise take a quarter of a line."""
    return _MAKER.sub("", text)


def print_table(console: Console, table: RenderableType) -> None:
    """Print without rich's guesses: no highlighting of numbers, no markup in what users wrote, no blanks at the end of lines."""
    with console.capture() as captured:
        console.print(table, highlight=False, markup=False, emoji=False)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
