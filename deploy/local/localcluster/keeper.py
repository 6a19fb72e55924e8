"""A small process of its own that holds the programs of one cluster, so that none of them is ever left behind.

It is started with pipes to the process that wants the cluster and obeys JSON lines on standard input:

    {"do": "start", "name": "etcd", "command": ["/path/etcd", "--flag"]}
    {"do": "kill", "names": ["kube-apiserver"]}
    {"do": "pids"}
    {"do": "keep"}    the folder, when all is over

each answered with a line `{"pids": {name: pid}, "exited": {name: exit status}}`. When standard input ends, or the parent is gone
however it ended, it stops everything in order, removes the cluster's folder and exits. Should it be killed itself, the
kernel kills its programs (PR_SET_PDEATHSIG; that signal is tied to a thread, which is why this is a process with only one).
"""

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

STOP_ORDER = (("kwok", "kube-scheduler", "kube-controller-manager"), ("kube-apiserver",), ("etcd",))
"""An API server whose etcd is gone does not heed SIGTERM for over a minute, hence etcd last."""

GRACE_SECONDS = 5.0
"""How long a program may take to end before it is killed. Everything it holds is thrown away anyway."""

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PARENT_CHECK_SECONDS = 1.0


class _Children:
    """The supervising process's end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._libc = ctypes.CDLL(None)
        self.remove = True

    def start(self, name: str, command: list[str]) -> None:
        # Go programs would send what is meant for pods and webhooks through a proxy where one is set.
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        with (self._directory / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._directory,
                start_new_session=True,
                preexec_fn=self._die_with_parent,  # noqa: PLW1509 - this process has one thread
            )

    def _die_with_parent(self) -> None:
        self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def stop(self, names: Sequence[str], grace: float = GRACE_SECONDS) -> None:
        leaving = [self._running.pop(name) for name in names if name in self._running]
        for child in leaving:
            child.terminate() if grace else child.kill()
        end = time.monotonic() + grace
        for child in leaving:
            try:
                child.wait(timeout=max(1.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def stop_all(self) -> None:
        for names in STOP_ORDER:
            self.stop(names)
        self.stop(list(self._running))
        if self.remove:
            shutil.rmtree(self._directory, ignore_errors=True)

    def obey(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "start":
                self.start(request["name"], request["command"])
            case "kill":
                self.stop(request["names"], grace=0.0)
            case "keep":
                self.remove = False
        exited = {name: code for name, child in self._running.items() if (code := child.poll()) is not None}
        return {"pids": {name: child.pid for name, child in self._running.items()}, "exited": exited}


def _serve(children: _Children) -> None:
    parent = os.getppid()
    pending = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], PARENT_CHECK_SECONDS)[0]:
            continue
        data = os.read(0, 65536)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            try:
                answer = children.obey(json.loads(line))
            except OSError as error:
                answer = {"error": str(error)}
            os.write(1, json.dumps(answer).encode() + b"\n")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit


def main() -> None:
    """Supervise until standard input ends; `sys.argv[1]` is the cluster's folder."""
    children = _Children(Path(sys.argv[1]))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _serve(children)
    except (SystemExit, BrokenPipeError):
        pass
    finally:
        children.stop_all()


if __name__ == "__main__":
    main()
