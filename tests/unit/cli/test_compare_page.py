"""The page of `modelserving compare` as text: well-formed, self-contained, escaped, readable; `tests/browser` draws it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import pytest

from comparison_cases import INVENTORY, LLAVA, LLAVA_VIDEO, compared, entry
from modelserving.cli.compare_case import Compared
from modelserving.cli.compare_page import comparison_page
from modelserving.cli.exits import Exit
from modelserving.cli.inventory import Inventory
from modelserving.planning.plan import Rejection

VOID = {"meta", "br", "hr", "img", "input", "link"}
CSS = resources.files("modelserving.cli").joinpath("templates", "comparison.css").read_text(encoding="utf-8")
EVIL = "</style><script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """Elements of a page; fails where a tag is closed that is not the open one."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} is closed, nothing is open"
        assert self.open[-1] == tag, f"{tag} is closed, {self.open} are open"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """What a person reads."""
        return " ".join(" ".join(self.words).split())


def test_it_is_well_formed_and_has_nothing_of_elsewhere() -> None:
    text = comparison_page([entry(compared(LLAVA)), entry(compared(LLAVA_VIDEO))], INVENTORY)
    page = Page(text)
    assert page.open == []
    assert {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "base", "form"} == set()
    names = {name for _, attributes in page.elements for name in attributes}
    assert names & {"src", "href", "srcset", "xlink:href"} == set()
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text
    assert "://" not in text
    policy = next(attributes for tag, attributes in page.elements if attributes.get("http-equiv"))
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_what_users_wrote_is_text() -> None:
    comparison = compared(LLAVA)
    named = replace(comparison, facts=replace(comparison.facts, model=EVIL), notes=(EVIL,))
    broken = Compared(EVIL, EVIL, Rejection(EVIL, EVIL), Exit.REJECTED)
    evil = Inventory(INVENTORY.snapshot, EVIL)
    page = Page(comparison_page([replace(entry(named), model=EVIL), broken], evil))
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.elements}
    assert EVIL in page.text


def test_bars_hold_the_bytes_of_the_figures() -> None:
    page = Page(comparison_page([entry(compared(LLAVA))], INVENTORY))
    rectangles = [attributes for tag, attributes in page.elements if tag == "rect" and "data-bytes" in attributes]
    assert {attributes["class"] for attributes in rectangles} == {
        *("weights", "kv", "activation", "graphs", "other", "spare")
    }
    for attributes in rectangles:
        assert float(attributes["width"] or 0) == pytest.approx(int(attributes["data-bytes"] or 0) / 2**20, abs=0.01)
    assert "weights 34.3 GiB, KV cache asked for 10.0 GiB" in " ".join(
        str(attributes.get("aria-label")) for _, attributes in page.elements
    )


def test_every_bar_has_words_and_every_table_a_caption() -> None:
    page = Page(comparison_page([entry(compared(LLAVA))], INVENTORY))
    bars = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in bars)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption")
    assert tags.count("h1") == 1


def test_a_model_that_vllm_cannot_run_says_so_before_all_figures() -> None:
    text = Page(comparison_page([entry(compared(LLAVA_VIDEO))], INVENTORY)).text
    assert text.index("vLLM 0.32.0 cannot run llava-video-72b-qwen2") < text.index("146.4 GB")


def test_nothing_to_compare_is_a_sentence() -> None:
    broken = Compared("x", "org/model", Rejection("NoGPUNodes", "None of 3 nodes has GPUs."), Exit.REJECTED)
    assert "NoGPUNodes: None of 3 nodes has GPUs." in Page(comparison_page([broken], INVENTORY)).text


def schemes() -> dict[str, dict[str, str]]:
    """Colours by scheme: what is outside of media queries is light, they change some of it."""
    first, *queries = CSS.split("@media ")
    light = colors_in(first)
    changed = {query.partition("{")[0].strip(): colors_in(query) for query in queries}
    return {"light": light} | {query: light | colors for query, colors in changed.items() if colors}


def colors_in(text: str) -> dict[str, str]:
    """Colours by name."""
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", text))


def luminance(color: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    digits = color[1:] if len(color) == 7 else "".join(digit * 2 for digit in color[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Contrast of two colours (WCAG 2.2)."""
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_there_is_a_scheme_for_light_dark_and_paper() -> None:
    assert list(schemes()) == ["light", "(prefers-color-scheme: dark)", "print"]


@pytest.mark.parametrize("scheme", schemes())
@pytest.mark.parametrize(
    ("ink", "ground"), [("ink", "page"), ("ink", "card"), ("soft", "page"), ("soft", "card"), ("warn-ink", "warn-page")]
)
def test_text_can_be_read(scheme: str, ink: str, ground: str) -> None:
    colors = schemes()[scheme]
    assert contrast(colors[ink], colors[ground]) >= 4.5


@pytest.mark.parametrize("scheme", schemes())
@pytest.mark.parametrize("term", ["weights", "kv", "activation", "graphs", "other", "limit"])
def test_bars_and_lines_stand_out_from_the_page(scheme: str, term: str) -> None:
    colors = schemes()[scheme]
    assert contrast(colors[term], colors["page"]) >= 3
