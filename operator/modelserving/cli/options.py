"""What `plan` and `render` share: options, reading, planning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from rich.console import Console

from modelserving.cli.documents import read_documents
from modelserving.cli.inventory import Inventory, read_inventory
from modelserving.cli.lookup import look_up
from modelserving.cli.outcomes import Outcome, decide, refs_of
from modelserving.cli.resources import resources_in
from modelserving.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
# Long enough for a Hub that answers, short enough for a person who has none.
HUB_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Planned:
    """Outcomes of all resources, and what they were planned for."""

    outcomes: tuple[Outcome, ...]
    inventory: Inventory
    settings: Settings


def planning_options(command: Command) -> Command:
    """Add the options that say what to plan, and for which nodes."""
    options = [
        click.option(
            "-f",
            "--filename",
            "files",
            multiple=True,
            required=True,
            metavar="FILE",
            help="File with one or more ModelServing resources; - is standard input. May be given more than once.",
        ),
        click.option(
            "--nodes",
            multiple=True,
            metavar="FILE|DIR",
            help="Nodes, and what bounds them: the output of `kubectl get nodes,pods,resourcequotas,resourceslices -A -o yaml`; "
            "values of the chart with settings.nodeShapes. "
            "Left out: one empty node of each well-known kind.",
        ),
        click.option("--offline", is_flag=True, help="Ask no Hub; the bundled catalogue knows well-known models."),
        click.option(
            "--hub-timeout",
            type=click.FloatRange(min=0.1, max=600),
            default=HUB_TIMEOUT_SECONDS,
            show_default=True,
            metavar="SECONDS",
            help="Longest the Hub may take before the bundled catalogue answers.",
        ),
        click.option("--engine-version", metavar="VERSION", help="vLLM version where a resource names none."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def plan_all(
    files: Sequence[str], nodes: Sequence[str], offline: bool, hub_timeout: float, engine_version: str | None
) -> Planned:
    """Read the files and plan every resource in them.

    Raises:
        InputError: a file is wrong.
    """
    settings = Settings(**({"engine_version": engine_version} if engine_version else {}))
    resources = resources_in(read_documents(files))
    inventory = read_inventory(nodes)
    refs = [ref for resource in resources for ref in refs_of(resource, settings)]
    with Console(stderr=True).status("reading facts of the model …"):
        known = look_up(refs, settings, offline, hub_timeout)
    outcomes = tuple(decide(resource, inventory.snapshot, known.__getitem__, settings) for resource in resources)
    return Planned(outcomes, inventory, settings)
