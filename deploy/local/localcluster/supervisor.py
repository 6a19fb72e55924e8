"""The process that holds the programs of one cluster (`keeper.py`), seen from the one that wants the cluster."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localcluster.errors import LocalClusterError


class Supervisor:
    """The parent's end: starts the supervising process and talks to it. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        package_root = str(Path(__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": package_root}
        with (directory / "keeper.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "localcluster.keeper", str(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=package_root,
                text=True,
                start_new_session=True,  # a Ctrl-C in the terminal reaches the parent only, which stops it in order
            )
        self._lock = threading.Lock()
        self._directory = directory

    @property
    def pid(self) -> int:
        """Process id of the supervising process."""
        return self._process.pid

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a program; its output goes to `NAME.log` in the cluster's folder."""
        self._ask({"do": "start", "name": name, "command": list(command)})

    def kill(self, *names: str) -> None:
        """End programs at once, as in a crash."""
        self._ask({"do": "kill", "names": names})

    def pids(self) -> dict[str, int]:
        """Return the process ids of the programs that run.

        Raises:
            LocalClusterError: one of them ended by itself; the message holds the end of its log.
        """
        answer = self._ask({"do": "pids"})
        for name, status in answer["exited"].items():
            raise LocalClusterError(f"{name} ended with status {status}:\n{tail(self._directory / f'{name}.log')}")
        return dict(answer["pids"])

    def close(self, remove: bool = True) -> None:
        """Stop everything and wait until it is gone.

        Args:
            remove: whether the cluster's folder, with its logs, goes too.
        """
        with self._lock:
            if self._process.poll() is None and not remove:
                self._send({"do": "keep"})
            if self._process.stdin and not self._process.stdin.closed:
                self._process.stdin.close()
            self.wait()
            if self._process.stdout:
                self._process.stdout.close()

    def wait(self) -> None:
        """Wait until everything is gone."""
        self._process.wait()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            return self._send(request)

    def _send(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except (OSError, ValueError) as gone:
            raise LocalClusterError("the local cluster has been stopped") from gone
        if not line:
            raise LocalClusterError("the process that holds the local cluster has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise LocalClusterError(answer["error"])
        return answer


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, or nothing where there is none."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
