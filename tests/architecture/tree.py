"""The source tree as the architecture tests see it: files, packages, imports by AST."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOT = ROOT / "operator"
PACKAGE = SOURCE_ROOT / "modelserving"


@dataclass(frozen=True)
class Import:
    """One imported module.

    Attributes:
        path: file that imports it.
        line: where.
        module: full name, `modelserving.engine.device`.
        typing_only: under `if TYPE_CHECKING:`.
    """

    path: Path
    line: int
    module: str
    typing_only: bool

    @property
    def importer(self) -> str:
        """Package of modelserving that imports: `planning`; a module at the top goes by its name: `units`."""
        return owner(self.path.relative_to(PACKAGE).parts[0])

    @property
    def imported(self) -> str:
        """Package of modelserving that is imported, empty for a module from elsewhere."""
        first, *rest = self.module.split(".")
        return rest[0] if first == "modelserving" and rest else ""

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def owner(part: str) -> str:
    """Name a package or top module by its path's first part."""
    return part.removesuffix(".py")


def python_files(root: Path = PACKAGE) -> list[Path]:
    """List the Python files below a folder, in order."""
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


@cache
def parsed(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports() -> tuple[Import, ...]:
    """List every import in the package, those inside functions included."""
    return tuple(found for path in python_files() for found in imports_of(path, parsed(path)))


def imports_of(path: Path, tree: ast.Module) -> Iterator[Import]:
    """List the imports of one file."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        for module in _modules(path, node):
            yield Import(path, getattr(node, "lineno", 0), module, id(node) in typing_only)


def _modules(path: Path, node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = path.relative_to(SOURCE_ROOT).with_suffix("").parts[: -node.level]
        base = ".".join([*package, *([base] if base else [])])
    if base == "modelserving":
        return [f"modelserving.{alias.name}" for alias in node.names]
    return [base]
