"""Command line: `PYTHONPATH=deploy/local python -m localcluster up|down|build|env|rss`."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from localcluster.cache import say
from localcluster.controlplane import LocalCluster, run_directory, usage
from localcluster.errors import LocalClusterError
from localcluster.nodes import node_set, node_set_names
from localcluster.toolchain import programs
from localcluster.waiting import wait_for

MEBIBYTE = 2**20
STOP_SECONDS = 30.0
UP = "up"  # the line with which the process that holds the cluster says that it is ready


def build(_arguments: argparse.Namespace) -> None:
    """Compile the control plane if that has not been done, and print where each program is."""
    for name, path in programs().items():
        print(f"{name:24} {path}")


def up(arguments: argparse.Namespace) -> None:
    """Start a cluster that stays up after this command, and print the line that points kubectl at it."""
    programs()
    nodes = [str(_nodes(name)) for name in arguments.nodes]
    command = [sys.executable, "-m", "localcluster", "hold", "--name", arguments.name, *nodes]
    holder = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert holder.stdout is not None
    if holder.stdout.readline().strip() != UP:
        sys.exit(1)  # it has said why
    env(arguments)


def hold(arguments: argparse.Namespace) -> None:
    """Start a cluster and hold it until somebody stops it."""
    with LocalCluster.start(nodes=map(Path, arguments.nodes), name=arguments.name) as cluster:
        print(UP, flush=True)
        # Whoever started this has read its line and may be gone: nothing more may be written to those pipes.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        cluster.wait()


def down(arguments: argparse.Namespace) -> None:
    """Stop a cluster and remove its folder."""
    directory = run_directory(arguments.name)
    os.kill(_state(arguments.name)["supervisor"], signal.SIGTERM)
    wait_for(lambda: not directory.exists(), STOP_SECONDS, "the end of the local cluster")


def env(arguments: argparse.Namespace) -> None:
    """Print the line that points kubectl at a running cluster."""
    _state(arguments.name)
    print(f"export KUBECONFIG={run_directory(arguments.name) / 'kubeconfig'}")


def rss(arguments: argparse.Namespace) -> None:
    """Print what the programs of a running cluster use."""
    print(f"{'':24} {'RSS':>9} {'peak':>9} {'anonymous':>9}  MiB   CPU s")
    for name, pid in _state(arguments.name)["programs"].items():
        used = usage(pid)
        sizes = (used.resident, used.peak, used.anonymous)
        print(f"{name:24} {' '.join(f'{size / MEBIBYTE:9.1f}' for size in sizes)} {used.cpu_seconds:12.1f}")


def _nodes(name: str) -> Path:
    return Path(name).resolve() if Path(name).is_file() else node_set(name)


def _state(name: str) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((run_directory(name) / "state.json").read_text())
    except FileNotFoundError:
        raise LocalClusterError(f"no local cluster called {name!r} runs: start one with `up`") from None
    return state


def _add_arguments(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], None]) -> None:
    parser.set_defaults(run=command)
    if command is not build:
        parser.add_argument(
            "--name", default="default", help="tells clusters apart that run side by side (default: default)"
        )
    if command in (up, hold):
        known = ", ".join(node_set_names())
        parser.add_argument("nodes", nargs="*", default=["mixed"], help=f"files, or: {known} (default: mixed)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m localcluster", description="A Kubernetes control plane on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (up, down, build, env, rss):
        sub = commands.add_parser(command.__name__, description=command.__doc__, help=command.__doc__)
        _add_arguments(sub, command)
    # Without help= it is not listed: `up` leaves it behind, nobody types it.
    _add_arguments(commands.add_parser("hold", description=hold.__doc__), hold)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except LocalClusterError as problem:
        for line in [str(problem), *getattr(problem, "__notes__", [])]:
            say(line)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
