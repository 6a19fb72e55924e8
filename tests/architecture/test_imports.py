"""Who may import whom: the arrows of docs/architecture.md, walked by AST."""

import ast

import pytest

from architecture.tree import PACKAGE, Import, imports, imports_of, owner, parsed, python_files

PURE = {"units", "errors", "models", "engine", "sizing", "cluster", "planning", "api", "render"}
BASE = {"units", "errors"}

# Package -> what of modelserving it may import, itself apart.
ARROWS = {
    "units": set(),
    "errors": set(),
    "settings": BASE,
    "models": BASE,
    "engine": BASE | {"models"},
    "sizing": BASE | {"models", "engine"},
    "cluster": BASE | {"engine"},
    "api": BASE,
    "planning": BASE | {"models", "engine", "sizing", "cluster", "api"},
    "render": BASE | {"settings", "models", "engine", "sizing", "cluster", "planning", "api"},
    "controller": PURE | {"settings"},
    "hub": BASE | {"settings", "models"},
    "kube": PURE | {"settings", "hub", "controller"},
    "app": PURE | {"settings", "controller", "kube", "hub"},
    "cli": PURE | {"settings", "controller", "kube", "hub", "app"},
}
# The one seam of a layer that another may see, where it may not see the rest.
SEAMS = {("cluster", "engine"): {"modelserving.engine.device"}}

ONLY_IMPORTER = {"kubernetes": "kube", "huggingface_hub": "hub", "kopf": "app"}

# Modules that reach the clock, the environment, chance, the log, the network or other processes.
IMPURE = {
    *("kopf", "kubernetes", "aiohttp", "huggingface_hub", "vllm", "prometheus_client", "rich", "click"),
    *("os", "time", "logging", "random", "secrets", "socket", "ssl", "subprocess", "threading", "asyncio", "signal"),
    *("shutil", "tempfile", "urllib.request", "http.client", "requests", "getpass", "platform", "locale"),
}
IMPURE_CALLS = {"now", "utcnow", "today"}


def test_every_package_has_its_arrows_stated() -> None:
    packages = {owner(path.name) for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert packages | modules <= ARROWS.keys()


@pytest.mark.parametrize("package", ARROWS)
def test_imports_follow_the_arrows(package: str) -> None:
    wrong = [
        str(found)
        for found in imports()
        if found.importer == package and found.imported and not _may(package, found) and not found.typing_only
    ]
    assert wrong == []


def _may(package: str, found: Import) -> bool:
    if found.imported == package or found.imported == "__version__":
        return True
    seam = SEAMS.get((package, found.imported))
    return found.module in seam if seam else found.imported in ARROWS[package]


@pytest.mark.parametrize(("library", "package"), ONLY_IMPORTER.items())
def test_a_library_at_the_edge_has_one_importer(library: str, package: str) -> None:
    wrong = [str(f) for f in imports() if f.module.split(".")[0] == library and f.importer != package]
    assert wrong == []


def test_nothing_imports_vllm_at_run_time() -> None:
    assert [str(found) for found in imports() if found.module.split(".")[0] == "vllm"] == []


@pytest.mark.parametrize("package", sorted(PURE))
def test_pure_packages_reach_nothing_outside(package: str) -> None:
    wrong = [
        str(found)
        for found in imports()
        if found.importer == package and (found.module in IMPURE or found.module.split(".")[0] in IMPURE)
    ]
    for path in python_files():
        if owner(path.relative_to(PACKAGE).parts[0]) == package:
            wrong += [f"{path}:{node.lineno} calls {name}" for node, name in _impure_calls(parsed(path))]
    assert wrong == []


def _impure_calls(tree: ast.Module) -> list[tuple[ast.Call, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name) and function.id in {"open", "print", "input"}:
                found.append((node, function.id))
            if isinstance(function, ast.Attribute) and function.attr in IMPURE_CALLS:
                found.append((node, function.attr))
    return found


def test_the_walk_sees_what_it_must_forbid() -> None:
    source = (
        "import os.path\nfrom modelserving import kube\ndef f():\n    from . import x\n    import kopf\nopen('x')\n"
    )
    path = PACKAGE / "planning" / "planner.py"
    tree = ast.parse(source)
    seen = [found.module for found in imports_of(path, tree)]
    assert seen == ["os.path", "modelserving.kube", "modelserving.planning", "kopf"]
    assert [name for _, name in _impure_calls(tree)] == ["open"]
