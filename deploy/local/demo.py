"""`make demo`: a real control plane with pretend GPU nodes, the operator, and a model on the fewest GPUs, on this machine."""

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.text import Text

from installation import ROOT, Installation, OperatorProcess
from localcluster import LocalCluster, LocalClusterError, node_set, node_set_names, wait_for
from localcluster.toolchain import programs
from modelserving.cli.table import plan_table, print_table
from modelserving.planning.record import from_json

SAMPLE = ROOT / "deploy" / "samples" / "llava.yaml"
PLACED_SECONDS = 60.0
COLUMNS = (
    "POD:.metadata.name,NODE:.spec.nodeName,GPUS:.spec.containers[0].resources.limits.nvidia\\.com/gpu,"
    "READY:.status.containerStatuses[0].ready,PHASE:.status.phase"
)


class Steps:
    """Prints each step of the demo and what it took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = time.monotonic()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Run one step; a terminal shows it while it runs."""
        begun = time.monotonic()
        with self.console.status(f"{what} …") if self.console.is_terminal else _nothing():
            yield
        self.line(time.monotonic() - begun, what)

    def line(self, seconds: float, what: str, style: str = "") -> None:
        """Print a duration and what took it."""
        text = Text.assemble((f"{seconds:6.1f} s  ", "dim"), (what, style))
        self.console.print(text, highlight=False, soft_wrap=True)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    options = _options(arguments)
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        nodes = [_nodes(name) for name in options.nodes or ["mixed"]]
        return _run(options, nodes, Steps(console), console)
    except LocalClusterError as failure:
        notes = getattr(failure, "__notes__", [])
        print("\n".join([f"demo: {failure}", *notes]), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 130


def _run(options: argparse.Namespace, nodes: list[Path], steps: Steps, console: Console) -> int:
    # Prints its own progress where it has to compile, minutes once per machine.
    programs()
    steps.line(time.monotonic() - steps.started, "control plane found: etcd, API server, controllers, scheduler, kwok")
    with steps.step(f"cluster up, with the nodes of {', '.join(path.stem for path in nodes)}"):
        cluster = LocalCluster.start(nodes=nodes, name=options.name)
    operator: OperatorProcess | None = None
    try:
        with steps.step("CRD, ServiceAccount and RBAC applied"):
            installation = Installation.install(cluster)
        with steps.step("operator ready, with nothing but its ServiceAccount's token"):
            operator = installation.start()
        sample = options.sample
        with steps.step(f"kubectl apply -f {_shown(sample)}: pods placed and ready"):
            cluster.kubectl("apply", "-f", str(sample))
            served = wait_for(lambda: _served(cluster, operator), PLACED_SECONDS, "the sample's pods")
        steps.line(time.monotonic() - steps.started, "in all", "bold")
        _show(cluster, served, console)
        if not (sys.stdin.isatty() and sys.stdout.isatty()) or options.stop:
            return 0
        with suppress(KeyboardInterrupt):
            _hold(cluster, operator, console)
        return 0
    finally:
        if operator is not None:
            operator.stop()
        cluster.stop()


def _served(cluster: LocalCluster, operator: OperatorProcess) -> list[dict[str, Any]]:
    """The sample's Deployments once every resource is planned and every replica ready, nothing before.

    Raises:
        LocalClusterError: a resource was rejected, or the operator ended.
    """
    operator.check()
    servings = cluster.request("GET", "/apis/modelserving.dev/v1alpha1/modelservings")["items"]
    for serving in servings:
        for condition in serving.get("status", {}).get("conditions", []):
            if condition["type"] == "Planned" and condition["status"] == "False":
                raise LocalClusterError(f"{serving['metadata']['name']}: {condition['reason']}: {condition['message']}")
    if not servings or not all(_is_ready(serving) for serving in servings):
        return []
    return list(
        cluster.request(
            "GET", "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io/managed-by=modelserving-operator"
        )["items"]
    )


def _is_ready(serving: dict[str, Any]) -> bool:
    wanted = serving["spec"].get("replicas", 1)
    return bool(serving.get("status", {}).get("readyReplicas", 0) == wanted > 0)


def _show(cluster: LocalCluster, deployments: list[dict[str, Any]], console: Console) -> None:
    for deployment in deployments:
        plan = from_json(deployment["metadata"]["annotations"]["modelserving.dev/plan"])
        if plan is None:
            raise LocalClusterError(f"the plan on Deployment {deployment['metadata']['name']} cannot be read")
        console.print()
        print_table(console, plan_table(deployment["metadata"]["labels"]["modelserving.dev/name"], plan, console.width))
    for command in (["get", "msv"], ["get", "pods", "-o", f"custom-columns={COLUMNS}"]):
        shown = " ".join(command[:2]) + (" -o custom-columns=…" if len(command) > 2 else "")
        console.print(Text(f"\n$ kubectl {shown}", style="bold"))
        console.print(cluster.kubectl(*command).rstrip(), highlight=False, markup=False, soft_wrap=True)


def _hold(cluster: LocalCluster, operator: OperatorProcess, console: Console) -> None:
    kubectl = "" if shutil.which("kubectl") else f"alias kubectl={programs()['kubectl']}; "
    console.print("\nIt keeps running. In another terminal:\n", highlight=False)
    console.print(Text(f"  {kubectl}export KUBECONFIG={cluster.kubeconfig}", style="bold"), soft_wrap=True)
    console.print(
        f"\nthen, for example, kubectl describe msv. The operator's log: {operator.log}",
        highlight=False,
        soft_wrap=True,
    )
    console.print("Ctrl-C stops everything and leaves nothing behind.", highlight=False)
    operator.process.wait()
    operator.check()


def _nodes(name: str) -> Path:
    """A file, a node set, or the start of a node set's name: `h100`."""
    if Path(name).is_file():
        return Path(name).resolve()
    matching = [known for known in node_set_names() if known.startswith(name)]
    return node_set(matching[0] if len(matching) == 1 else name)


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("nodes", nargs="*", help=f"files, or: {', '.join(node_set_names())} (default: mixed)")
    parser.add_argument("--sample", type=Path, default=SAMPLE, help="what to apply")
    parser.add_argument("--name", default="demo", help="name of the local cluster")
    parser.add_argument("--stop", action="store_true", help="stop when all is shown, even in a terminal")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
