"""What is in the repository: no address of a package index, no dead link in the documentation."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from architecture.tree import ROOT

# Options and variables that would tie a checkout to one machine's package index.
INDEX = re.compile(
    r"(--)?(extra-)?index[-_]url\s*[= ]\s*\S*://|GOPROXY\s*[:=]\s*\S*://|npm_config_registry|--find-links"
)
PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+!]*")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@cache
def tracked() -> tuple[Path, ...]:
    """List the files of the checkout that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())


def test_no_file_names_a_package_index() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path != Path(__file__) and INDEX.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_constraints_pin_versions_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert [line for line in lines if not PINNED.fullmatch(line)] == []


def documents() -> list[Path]:
    """List the Markdown files."""
    return sorted(path for path in tracked() if path.suffix == ".md")


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_the_documentation_resolve(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    dead = []
    for target in (first or second for first, second in LINK.findall(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        if not linked.exists() or (anchor and anchor not in _anchors(linked)):
            dead.append(target)
    assert dead == []


def _anchors(path: Path) -> set[str]:
    """Anchors as GitHub makes them of headings."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
