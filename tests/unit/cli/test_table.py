"""What a person sees. Plans are built by hand: what the planner decides is not tested here."""

import io
import re

import pytest
from rich.console import Console

from modelserving.cli.table import plan_table, print_table, rejection_table
from modelserving.planning.plan import Plan, Rejected, Rejection
from modelserving.units import GIB
from unit.cli.plans import H100, H200, llava_plan, rejection


def shown(plan: Plan, width: int = 80, color: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=color, color_system="standard" if color else None)
    print_table(console, plan_table("llava", plan, console.width))
    return out.getvalue()


def test_every_term_stands_with_its_figure_and_they_add_up_to_the_budget() -> None:
    lines = shown(llava_plan()).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  weights"))
    figures = [float(re.findall(r"[\d.]+(?= +[█▏▎▍▌▋▊▉─]|$)", line.rstrip())[0]) for line in lines[start : start + 7]]
    assert figures[:-1] == [34.0, 10.0, 2.0, 1.0, 0.5, 25.5]
    assert sum(figures[:-1]) == figures[-1] == 73.0


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_lines_keep_within_the_terminal(width: int) -> None:
    assert (
        max(len(line) for line in shown(llava_plan("Waits for free GPUs: " + "x " * 80), width).splitlines()) <= width
    )


def test_bars_are_scaled_to_the_budget() -> None:
    lines = shown(llava_plan()).splitlines()
    bar = {line.split("  ")[1]: line.count("█") for line in lines if "█" in line}
    scale = next(line.count("─") for line in lines if "─" in line)
    assert abs(bar["weights"] - scale * 34 / 73) <= 1


def test_what_runs_where_is_said_first() -> None:
    first, second = shown(llava_plan()).splitlines()[:2]
    assert first == "llava  llava-hf/llava-onevision-qwen2-72b-ov-hf @ 0123456  bf16, as stored"
    assert second == f"4 × {H100} on one node, tensor parallel 4, vLLM 0.32.0"


def test_rejected_candidates_of_one_reason_are_one_line_with_the_nearest_figures() -> None:
    text = shown(llava_plan())
    assert "1–2 × H100-80GB-HBM3  short by 15.2 GiB on each GPU" in text
    assert "3 × H100-80GB-HBM3    64 attention heads cannot be split over 3 GPUs" in text


def test_a_rule_that_holds_for_all_products_is_one_line() -> None:
    message = "64 attention heads cannot be split over 3 GPUs"
    rejected = tuple(Rejected(f"3 × {product}", "HeadsNotDivisible", message, 3, product) for product in (H100, H200))
    out = io.StringIO()
    print_table(
        Console(file=out, width=80), rejection_table("llava", "a/b", Rejection("HeadsNotDivisible", "No.", rejected))
    )
    assert out.getvalue().splitlines()[-1] == f"  3 GPUs  {message}"


def test_alternatives_notes_and_waiting_are_shown() -> None:
    text = shown(llava_plan(waiting="Waits for free GPUs: 3 of 16 are free."))
    assert "Waits for free GPUs: 3 of 16 are free." in text
    assert "Works too\n  2 × H200" in text
    assert "Notes\n  Facts of llava come from the catalogue" in text
    assert "free when planned" not in text


def test_offloaded_weights_are_told() -> None:
    assert "8.0 GiB of each GPU's weights stay in host memory" in shown(llava_plan(offloaded_bytes=8 * GIB))


def test_without_a_terminal_there_is_no_colour_and_no_trailing_blank() -> None:
    text = shown(llava_plan())
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []
    assert "\x1b[" in shown(llava_plan(), color=True)


def test_a_rejection_shows_reason_sentence_and_candidates() -> None:
    out = io.StringIO()
    print_table(Console(file=out, width=80), rejection_table("llava", "a/b", rejection()))
    text = out.getvalue()
    assert text.startswith("llava  a/b  rejected: InsufficientGPUMemory\nThe model has 136.3 GiB")
    assert "1–2 × H100-80GB-HBM3" in text


def test_markup_in_names_is_text() -> None:
    out = io.StringIO()
    print_table(Console(file=out, width=80), rejection_table("[red]x[/red]", ":smile:", rejection()))
    assert "[red]x[/red]  :smile:" in out.getvalue()
