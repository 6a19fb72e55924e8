"""`modelserving plan`: the decision, without a cluster."""

import sys

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

from modelserving.cli.exits import EXIT_CODES, Exit, worst
from modelserving.cli.machine import report, write
from modelserving.cli.options import Planned, plan_all, planning_options
from modelserving.cli.outcomes import Outcome
from modelserving.cli.table import plan_table, print_table, rejection_table, short
from modelserving.planning.plan import Plan


@click.command("plan", epilog=EXIT_CODES)
@planning_options
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True)
def plan_command(
    files: tuple[str, ...],
    nodes: tuple[str, ...],
    offline: bool,
    hub_timeout: float,
    engine_version: str | None,
    output: str,
) -> Exit:
    """Show on which GPUs a model would run, and the arithmetic behind it.

    Needs no cluster. It is the operator's own planner: what it prints is what the operator does with the same nodes.
    """
    planned = plan_all(files, nodes, offline, hub_timeout, engine_version)
    if output == "table":
        show(planned, Console())
    else:
        click.echo(write(report(planned.outcomes, planned.inventory), output))
    return worst(outcome.exit for outcome in planned.outcomes)


def show(planned: Planned, console: Console) -> None:
    """Print every outcome for a person, and what it was planned for."""
    for outcome in planned.outcomes:
        print_table(console, Group(_table(outcome, console.width), Text()))
    footer = Text(short(f"Planned for {planned.inventory.sentence}."), style="dim")
    print_table(console, footer)
    sys.stdout.flush()


def _table(outcome: Outcome, width: int) -> RenderableType:
    serving = outcome.resource.serving
    if isinstance(outcome.result, Plan):
        return plan_table(serving.metadata.name, outcome.result, width)
    return rejection_table(serving.metadata.name, serving.spec.model, outcome.result)
