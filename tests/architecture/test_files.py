"""Shape of the files: short, named after one idea, and never in the standard library's way."""

import subprocess
import sys
from pathlib import Path

import pytest

from architecture.tree import PACKAGE, ROOT, SOURCE_ROOT, python_files

LONGEST_FILE = 400
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}
OURS = [PACKAGE, ROOT / "deploy", ROOT / "tests"]


@pytest.mark.parametrize("folder", OURS, ids=lambda folder: folder.name)
def test_no_file_is_longer_than_the_limit(folder: Path) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files(folder)}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_FILE} == {}


@pytest.mark.parametrize("folder", OURS, ids=lambda folder: folder.name)
def test_modules_are_named_after_an_idea(folder: Path) -> None:
    named = [path for path in python_files(folder) if path.stem in NAMES_THAT_SAY_NOTHING]
    assert named == []


def test_no_module_has_a_name_of_the_standard_library() -> None:
    taken = [path for path in python_files() if path.stem in sys.stdlib_module_names - {"__main__"}]
    assert taken == []


def test_the_source_root_is_no_package() -> None:
    """With an `__init__.py` it would hide the standard library's `operator` for whoever runs Python in the checkout."""
    assert not (SOURCE_ROOT / "__init__.py").exists()
    assert not list(SOURCE_ROOT.glob("*.py"))


def test_python_in_the_checkout_gets_the_operator_of_the_standard_library() -> None:
    script = "import operator, collections; print(operator.itemgetter, operator.__file__)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(ROOT / "operator") not in done.stdout


def test_every_package_and_module_says_what_it_is() -> None:
    import ast

    silent = [path for path in python_files() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert silent == []
