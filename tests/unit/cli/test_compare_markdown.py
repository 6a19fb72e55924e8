"""A comparison as Markdown, held against a golden file."""

from comparison_cases import GOLDEN, LLAVA, LLAVA_VIDEO, compared, entry, golden
from modelserving.cli.compare_case import Compared
from modelserving.cli.compare_markdown import comparison_markdown
from modelserving.cli.exits import Exit
from modelserving.planning.plan import Rejection


def test_it_is_the_golden_file() -> None:
    made, kept = golden(), GOLDEN.read_text(encoding="utf-8")
    assert made == kept, "after a change that is meant: PYTHONPATH=operator:tests python -m comparison_cases"


def test_tables_have_the_same_columns_in_every_line() -> None:
    columns = None
    for line in comparison_markdown([entry(compared(LLAVA))]).splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        count = line.replace("\\|", "").count("|")
        assert columns in (None, count), line
        columns = count


def test_what_users_wrote_is_no_markup() -> None:
    rejected = Compared("a*b*", "org/m|x", Rejection("Odd", "<script>"), Exit.REJECTED)
    text = comparison_markdown([rejected])
    assert "# a\\*b\\*: org/m\\|x" in text
    assert "\\<script\\>" in text


def test_a_model_that_vllm_cannot_run_says_so_first() -> None:
    lines = comparison_markdown([entry(compared(LLAVA_VIDEO))]).splitlines()
    assert lines[4].startswith("> **vLLM 0.32.0 cannot run llava-video-72b-qwen2")
