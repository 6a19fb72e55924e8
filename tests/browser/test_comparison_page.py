"""The page of `modelserving compare` as Chromium draws it."""

import html
import json
import re
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from comparison_cases import INVENTORY, LLAVA, LLAVA_VIDEO, compared, entry
from modelserving.cli.compare_page import comparison_page

SCRIPT = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")
MEASURED = re.compile(r"<pre>(.*?)</pre>", re.DOTALL)
LIGHT, DARK = "1", "0"
# Half a pixel: what a browser rounds a box by.
ROUNDING = 0.5


@cache
def page() -> str:
    """A page of two models, one of which vLLM cannot run."""
    return comparison_page([entry(compared(LLAVA)), entry(compared(LLAVA_VIDEO), "video")], INVENTORY)


def measure(browser: Sequence[str], folder: Path, width: int, scheme: str = LIGHT) -> dict[str, Any]:
    """Draw the page in a window of so many pixels; a frame is as narrow as asked, which a window is not."""
    frame = f'<iframe width="{width}" height="900" style="border:0" srcdoc="{html.escape(page())}"></iframe>'
    outer = folder / "outer.html"
    outer.write_text(
        f"<!doctype html><meta charset=utf-8><pre></pre>{frame}<script>{SCRIPT}</script>", encoding="utf-8"
    )
    command = [*browser, f"--user-data-dir={folder / 'profile'}", f"--blink-settings=preferredColorScheme={scheme}"]
    done = subprocess.run(
        [*command, "--dump-dom", outer.as_uri()], capture_output=True, text=True, check=True, timeout=50
    )
    found = MEASURED.search(done.stdout)
    assert found is not None, done.stderr
    measured: dict[str, Any] = json.loads(html.unescape(found[1]))
    return measured


@pytest.mark.parametrize("width", [1280, 400])
def test_bars_are_as_wide_as_their_bytes_and_nothing_is_wider_than_the_window(
    browser: Sequence[str], tmp_path: Path, width: int
) -> None:
    measured = measure(browser, tmp_path, width)
    assert measured["width"] == width
    assert measured["scrollWidth"] <= width
    assert measured["wide"] == []
    assert len(measured["bars"]) > 100
    for bar in measured["bars"]:
        assert bar["width"] > width / 4
        assert bar["height"] > 10
        left = 0.0
        for part in bar["parts"]:
            share = bar["width"] * part["bytes"] / bar["scale"]
            assert part["width"] == pytest.approx(share, abs=ROUNDING)
            assert part["left"] == pytest.approx(left, abs=ROUNDING)
            left += share
        assert left <= bar["width"] + ROUNDING


def test_it_is_light_in_the_light_and_dark_in_the_dark(browser: Sequence[str], tmp_path: Path) -> None:
    light, dark = (measure(browser, tmp_path, 1280, scheme) for scheme in (LIGHT, DARK))
    assert (brightness(light["page"]) > 240, brightness(light["ink"]) < 60) == (True, True)
    assert (brightness(dark["page"]) < 40, brightness(dark["ink"]) > 200) == (True, True)


def brightness(color: str) -> float:
    """The mean of red, green and blue of a colour as browsers compute it: `rgb(251, 251, 249)`."""
    parts = [float(number) for number in re.findall(r"[0-9.]+", color)[:3]]
    return sum(parts) / len(parts)


def test_it_prints(browser: Sequence[str], tmp_path: Path) -> None:
    source, target = tmp_path / "page.html", tmp_path / "page.pdf"
    source.write_text(page(), encoding="utf-8")
    command = [*browser, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={target}", source.as_uri()]
    subprocess.run(command, capture_output=True, check=True, timeout=50)
    pages = re.findall(rb"/Type\s*/Page\b", target.read_bytes())
    # Of each model a first page, one for every kind of node, and what it costs.
    assert len(pages) >= 2 * (1 + 4 + 1)
