"""One estimate as a person reads it: every term with its share of the GPU, its band and where it comes from."""

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelserving.cli.bars import bar
from modelserving.cli.estimate_case import Estimated, Refused
from modelserving.cli.estimate_report import message
from modelserving.sizing.budget import KvCacheNeed, MemoryEstimate, RankMemory, Term
from modelserving.units import GIB, KIB

_INDENT = 2
_GAP = 2
_BAR = 16
# A terminal narrower than this has no room for bars beside the sources.
_WIDE = 110
_SPELLINGS = {word.upper(): word for word in ("GeForce", "Tesla", "Blackwell", "Ada", "Generation", "Ti")}


def estimate_table(name: str, result: Estimated, width: int) -> RenderableType:
    """Lay out an estimate for a terminal of so many columns."""
    config, memory = result.config, result.memory
    precision = config.quantization or result.facts.stored_precision
    title = Text.assemble((name, "bold cyan"), f"  {result.facts.architecture}, {precision}, runs as {config.dtype}")
    gpus = f"{config.world_size} × {_spelled(result.gpu.product)}"
    parallel = [
        text
        for size, text in (
            (config.tensor_parallel_size, f"tensor parallel {config.tensor_parallel_size}"),
            (config.pipeline_parallel_size, f"pipeline parallel {config.pipeline_parallel_size}"),
            (config.data_parallel_size, f"{config.data_parallel_size} engines (data parallel)"),
        )
        if size > 1
    ]
    place = Text.assemble((gpus, "bold green"), ", ".join(["", *parallel, f"vLLM {result.version.text}"]))
    batch = Text(
        f"{config.max_model_len:,} tokens a request, {config.max_num_batched_tokens:,} tokens and "
        f"{config.max_num_seqs:,} sequences a batch"
    )
    parts: list[RenderableType] = [title, place, batch]
    each = "each" if config.world_size > 1 else "the"
    for rank in memory.ranks:
        parts += [Text(), _heading(rank, memory, each), _terms(rank, memory, width)]
    parts += [Text(), Text("KV cache", style="bold"), Padding(_kv_cache(memory), (0, 0, 0, _INDENT))]
    parts += [Text(), Text(message(memory), style="green" if memory.fits else "yellow")]
    if result.assumptions:
        parts += [Text(), Text("Assumed", style="bold")]
        parts += [Padding(Text(sentence), (0, 0, 0, _INDENT)) for sentence in result.assumptions]
    return Group(*parts)


def refusal_table(name: str, refused: Refused) -> RenderableType:
    """Lay out why there is no estimate."""
    return Group(Text.assemble((name, "bold"), "  ", (refused.reason, "bold red")), Text(refused.message))


def _heading(rank: RankMemory, memory: MemoryEstimate, each: str) -> Text:
    one = f"{each} GPU" if len(memory.ranks) == 1 else f"each GPU of stage {rank.pipeline_rank}"
    return Text(f"{one}, {memory.total_bytes / GIB:.2f} GiB", style="dim")


def _terms(rank: RankMemory, memory: MemoryEstimate, width: int) -> Table:
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    table.add_column(Text(" " * _INDENT + "term"), no_wrap=True)
    for column in ("GiB", "share", "band"):
        table.add_column(column, justify="right", no_wrap=True)
    bar_width = _BAR if width >= _WIDE else 0
    if bar_width:
        table.add_column("", no_wrap=True, width=bar_width)
    table.add_column("where it comes from", overflow="fold")
    for label, term, style in _rows(rank, memory):
        drawn = [Text(bar(term.value, memory.total_bytes, bar_width), style=style)] if bar_width else []
        share = f"{100 * term.value / memory.total_bytes:.1f} %"
        band = "exact" if term.low == term.high else f"{_gib(term.low)}–{_gib(term.high)}"
        table.add_row(" " * _INDENT + label, _gib(term.value), share, band, *drawn, Text(term.source))
    whole = (Text(" " * _INDENT + "the GPU"), Text(_gib(memory.total_bytes)), Text("100.0 %"), Text(""))
    table.add_row(*(Text.assemble(cell, style="bold") for cell in whole))
    return table


def _rows(rank: RankMemory, memory: MemoryEstimate) -> Iterator[tuple[str, Term, str]]:
    """(label, term, style), which together are the GPU."""
    graphs, outside = rank.cuda_graphs, memory.total_bytes - memory.budget_bytes - rank.graphs_outside_bytes
    if rank.graphs_in_peak and graphs.high:
        graphs = replace(graphs, source=f"{graphs.source}; vLLM logs it within the activation peak")
    left = Term(rank.kv_cache_available, rank.kv_cache_available_low, rank.kv_cache_available_high, "what is left")
    yield "weights", rank.weights, "blue"
    yield "activation peak", rank.activation_peak, "magenta"
    if not rank.graphs_outside_bytes:
        yield "CUDA graphs", graphs, "yellow"
    yield "driver and NCCL", rank.non_torch, "bright_black"
    yield "KV cache", left, "cyan"
    if rank.graphs_outside_bytes:
        source = f"{rank.graphs_captured.source}; outside of what vLLM counts"
        yield "CUDA graphs", replace(rank.graphs_captured, source=source), "yellow"
    yield "left free", Term.exact(outside, "1 - gpu_memory_utilization"), "dim"


def _kv_cache(memory: MemoryEstimate) -> Table:
    need: KvCacheNeed = memory.kv_cache
    table = Table.grid(padding=(0, _GAP, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_row(f"a block of {need.block_size:,} tokens", f"{need.bytes_per_block / KIB:,.0f} KiB")
    table.add_row("one request of full length", f"{need.one_request_bytes / GIB:,.2f} GiB")
    table.add_row("what start-up demands", f"{need.min_bytes_to_start / GIB:,.2f} GiB")
    table.add_row("tokens of the pool", f"{memory.kv_cache_tokens:,}")
    table.add_row("requests of full length at once", f"{memory.max_concurrency:,.2f}")
    table.add_row("host memory of a replica", f"{memory.host_memory_bytes / GIB:,.1f} GiB")
    return table


def _spelled(product: str) -> str:
    """A product as its maker writes it; the table of products has capitals."""
    return "-".join(_SPELLINGS.get(word, word) for word in product.split("-"))


def _gib(num_bytes: int) -> str:
    return f"{num_bytes / GIB:.2f}"
