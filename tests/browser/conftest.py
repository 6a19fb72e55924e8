"""Tests that draw a page in a real Chromium. Where there is none they are not selected, and a line at the end says so.

The rest of the suite checks the page as text; only a browser knows how wide a bar became and whether a line is longer than the window.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out where there is no browser."""
    if CHROMIUM is not None:
        return
    ours = [item for item in items if HERE in item.path.parents]
    items[:] = [item for item in items if item not in ours]
    if ours:
        config.hook.pytest_deselected(items=ours)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    if CHROMIUM is None:
        terminalreporter.write_line(f"tests/browser was not selected: none of {', '.join(NAMES)} is installed")


@pytest.fixture(scope="session")
def browser() -> Sequence[str]:
    """The command that starts Chromium without a window, a sandbox of its own or any traffic."""
    assert CHROMIUM is not None
    return (
        CHROMIUM,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
        # Nothing leaves the machine, whatever the browser would like to know.
        "--host-resolver-rules=MAP * ~NOTFOUND",
    )
