"""Runs the measurements and prints the table; see the package's docstring."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from rich.console import Console

from bench import measures
from bench.estimates import CASES, estimates
from bench.figures import Figure, table
from bench.floor import floor
from bench.plan_curve import plan_curve
from bench.plan_time import plan_time
from bench.stage import Stage
from bench.trail import Trail
from installation import ROOT, Installation
from localcluster import LocalCluster, LocalClusterError, many_nodes, node_set

TEMPLATE = node_set("h100-80gb-x8")
NODES = 130
WIDTH_OF_FILES = 120
QUICK_CASES = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    nodes = many_nodes(TEMPLATE, options.nodes)
    say = Console(stderr=True)
    figures: list[Figure] = []
    floors: dict[str, float] = {}
    started = time.monotonic()

    def note(found: Figure | Iterable[Figure]) -> None:
        for figure in [found] if isinstance(found, Figure) else found:
            figures.append(replace(figure, floor=floors.get(figure.what)))
            say.print(f"{time.monotonic() - started:7.1f} s  {figure.what}", highlight=False)

    try:
        note(estimates(QUICK_CASES if options.quick else CASES))
        if options.estimates:
            return _code(options, figures)
        note(plan_time(nodes, (ROOT / "deploy" / "samples" / "llava.yaml").read_text()))
        note(plan_curve())
        if options.plans:
            return _code(options, figures)
        if options.floor:
            for figure in floor(nodes, options.single, options.burst, options.idle / 4):
                floors[figure.what] = figure.ours
                say.print(f"{time.monotonic() - started:7.1f} s  floor: {figure.what}", highlight=False)
        with LocalCluster.start(nodes=[nodes]) as cluster:
            installation = Installation.install(cluster)
            stage = Stage(cluster, installation, installation.start(), Trail(cluster.audit_log))
            try:
                _settled(stage, options, note) if options.settle else _all(stage, options, note)
            finally:
                stage.operator.stop()
    except LocalClusterError as failure:
        print("\n".join([f"bench: {failure}", *getattr(failure, "__notes__", [])]), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        out = Console() if sys.stdout.isatty() else Console(width=WIDTH_OF_FILES)
        out.print(table(figures), highlight=False)
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=2, ensure_ascii=False) + "\n")
    return _code(options, figures)


def _code(options: argparse.Namespace, figures: Sequence[Figure]) -> int:
    return 1 if options.check and not all(figure.is_met for figure in figures) else 0


def _all(stage: Stage, options: argparse.Namespace, note: "measures.Note") -> None:
    note(measures.idle_memory(stage))
    note(measures.one_at_a_time(stage, options.single))
    note(measures.burst(stage, options.burst))
    note(measures.idle_writes(stage, options.idle))
    note(measures.new_beside_many(stage))
    note(measures.hand_changes(stage))
    note(measures.after_restart(stage, options.idle / 2))


def _settled(stage: Stage, options: argparse.Namespace, note: "measures.Note") -> None:
    note(measures.burst(stage, options.burst))
    note(measures.idle_writes(stage, options.idle))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run that shows that all of it works")
    parser.add_argument("--estimates", action="store_true", help="estimates alone, without a cluster")
    parser.add_argument("--plans", action="store_true", help="estimates and plans alone, without a cluster")
    parser.add_argument("--settle", action="store_true", help="instead: 50 settled resources, no write in 5 minutes")
    parser.add_argument(
        "--floor", action=argparse.BooleanOptionalAction, help="measure an operator that decides nothing, too"
    )
    parser.add_argument("--nodes", type=int, help=f"pretend nodes of 8 GPUs ({NODES})")
    parser.add_argument("--single", type=int, help="resources made one at a time (100)")
    parser.add_argument("--burst", type=int, help="resources made at once (1000; 50 with --settle)")
    parser.add_argument("--idle", type=float, help="seconds of watching for writes (120; 300 with --settle)")
    parser.add_argument("--check", action="store_true", help="end with 1 where an aim was missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    defaults = {
        "floor": not (options.settle or options.quick),
        "nodes": NODES,
        "single": 100,
        "burst": 1000,
        "idle": 120.0,
    }
    if options.quick:
        defaults = {"nodes": 10, "single": 5, "burst": 20, "idle": 10.0}
    elif options.settle:
        defaults |= {"burst": 50, "idle": 300.0}
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


if __name__ == "__main__":
    sys.exit(main())
