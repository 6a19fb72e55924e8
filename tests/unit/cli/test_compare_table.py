"""A comparison in a terminal."""

from io import StringIO

import pytest
from rich.console import Console

from comparison_cases import LLAVA, LLAVA_VIDEO, MIXED, compared, compared_on, entry
from modelserving.api.modelserving import Precision
from modelserving.cli.compare_case import Compared
from modelserving.cli.compare_table import comparison_table
from modelserving.cli.exits import Exit
from modelserving.cli.table import print_table
from modelserving.models.metadata import CheckpointRef
from modelserving.planning.comparison import Comparison
from modelserving.planning.plan import Rejection
from modelserving.planning.request import Checkpoint


def drawn(compared: Compared, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    print_table(console, comparison_table(compared, width))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_lines_are_no_longer_than_the_terminal(width: int) -> None:
    assert max(len(line) for line in drawn(entry(compared(LLAVA)), width).splitlines()) <= width


@pytest.mark.parametrize(("width", "wider"), [(80, 89), (96, 99), (100, 140)])
def test_nothing_is_cut_off(width: int, wider: int) -> None:
    narrow, wide = (" ".join(drawn(entry(compared(LLAVA)), size).split()) for size in (width, wider))
    assert sorted(narrow.split(" ")) == sorted(wide.split(" "))


def test_true_figures_stand_beside_the_rule_of_thumb() -> None:
    lines = [" ".join(line.split()) for line in drawn(entry(compared(LLAVA))).splitlines()]
    assert "fp16 2.000 146.4 144.0 136.3" in lines
    assert "int8 W8A8, published 1.042 76.3 72.0 71.0" in lines
    assert "int4 AWQ, published 0.581 42.6 36.0 39.6" in lines


def test_gpus_of_every_kind_of_node_stand_in_one_line() -> None:
    text = drawn(entry(compared(LLAVA)))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "as stored, bf16 8 4 2 × 4 –" in lines
    wide = [" ".join(line.split()) for line in drawn(entry(compared(LLAVA)), 160).splitlines()]
    assert "as stored, bf16 2.000 146.4 144.0 136.3 8 4 2 × 4 –" in wide


def test_limits_and_reasons_are_told_for_each_kind_of_node() -> None:
    text = " ".join(drawn(entry(compared(LLAVA))).split())
    assert "H100-80GB-HBM3, 8 on a node, 1 node GiB of each GPU; 72.85 of 79.18 to spend" in text
    assert "weights in host memory 1 25.9 40.0 71.3 32,768 (all) 4.2" in text
    assert "needs 14 such nodes, there is 1" in text
    assert "layers on disk: vLLM keeps no weights on disk while it runs" in text
    assert "evidence Kurtic et al., ACL 2025, arXiv:2411.02355" in text


def test_a_model_that_vllm_cannot_run_says_so_before_all_figures() -> None:
    text = " ".join(drawn(entry(compared(LLAVA_VIDEO))).split())
    headline = "vLLM 0.32.0 cannot run llava-video-72b-qwen2: it has no model class LlavaQwenForCausalLM."
    assert text.index(headline) < text.index("what it weighs")


def test_nothing_to_compare_is_a_sentence() -> None:
    text = drawn(Compared("x", "org/model", Rejection("NoGPUNodes", "None of 3 nodes has GPUs."), Exit.REJECTED))
    assert text == "x  org/model  not compared: NoGPUNodes\nNone of 3 nodes has GPUs.\n"


def test_a_long_name_is_folded_and_markup_is_text() -> None:
    variant = Checkpoint(CheckpointRef("llama31-8b-awq"), Precision.INT4)
    comparison = compared_on(MIXED, "llama31-8b", variant, context_length=8192)
    assert isinstance(comparison, Comparison)
    text = drawn(entry(comparison, "[bold]x[/bold]"))
    assert "[bold]x[/bold]" in text
    assert max(len(line) for line in text.splitlines()) <= 80
