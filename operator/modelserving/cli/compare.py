"""`modelserving compare`: every way to spend less GPU memory on a model, side by side."""

import sys
from io import StringIO
from pathlib import Path
from typing import Any

import click
from rich.console import Console, Group
from rich.text import Text

from modelserving.api.modelserving import API_VERSION, KIND
from modelserving.cli.compare_case import Compared, compare_resource, refs_of
from modelserving.cli.compare_markdown import comparison_markdown
from modelserving.cli.compare_report import comparison_report
from modelserving.cli.compare_table import comparison_table
from modelserving.cli.documents import Document, read_documents
from modelserving.cli.exits import Exit, worst
from modelserving.cli.inventory import Inventory, read_inventory
from modelserving.cli.lookup import look_up
from modelserving.cli.machine import write
from modelserving.cli.options import HUB_TIMEOUT_SECONDS
from modelserving.cli.resources import Resource, resources_in
from modelserving.cli.table import print_table, short
from modelserving.errors import InputError
from modelserving.settings import Settings

# Name of the resource that a bare model stands for.
_UNNAMED = "compared"
# Columns of a table that goes into a file.
_FILE_WIDTH = 120

_EXIT_CODES = """\b
Exit codes:
  0  at least one method works for every model
  1  for at least one model none does, or vLLM cannot run it
  2  a file, a field or an option is wrong; nothing was compared
  3  the facts of a model could not be had
"""


@click.command("compare", epilog=_EXIT_CODES)
@click.argument("model", required=False)
@click.option(
    *("-f", "--filename", "files"),
    multiple=True,
    metavar="FILE",
    help="File with one or more ModelServing resources; - is standard input. May be given more than once.",
)
@click.option(
    "--context-length", type=int, help="Tokens of a request, where MODEL is named; left out: the model's own."
)
@click.option("--concurrency", type=int, help="Requests of full length at once, where MODEL is named; left out: 1.")
@click.option(
    "--nodes",
    multiple=True,
    metavar="FILE|DIR",
    help="Nodes: the output of `kubectl get nodes -o yaml`. Left out: one node of each well-known kind.",
)
@click.option("--offline", is_flag=True, help="Ask no Hub; the bundled catalogue knows well-known models.")
@click.option(
    "--hub-timeout",
    type=click.FloatRange(min=0.1, max=600),
    default=HUB_TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Longest the Hub may take before the bundled catalogue answers.",
)
@click.option("--engine-version", metavar="VERSION", help="vLLM version where a resource names none.")
@click.option(
    *("-o", "--output"),
    type=click.Choice(["table", "markdown", "html", "json", "yaml"]),
    default="table",
    show_default=True,
)
@click.option("--output-file", metavar="FILE", help="Write there instead of to standard output.")
def compare_command(
    model: str | None,
    files: tuple[str, ...],
    context_length: int | None,
    concurrency: int | None,
    nodes: tuple[str, ...],
    offline: bool,
    hub_timeout: float,
    engine_version: str | None,
    output: str,
    output_file: str | None,
) -> Exit:
    """Compare every way to serve a model in less GPU memory: precisions, offload, smaller batches, more GPUs, shorter contexts.

    MODEL is a Hub id; or name resources with -f. For each method it shows what the weights take, how few GPUs it needs on each kind
    of node, the longest context and the requests that leaves room for, what it costs in quality and speed and who measured that,
    and whether this vLLM has it at all.
    """
    settings = Settings(**({"engine_version": engine_version} if engine_version else {}))
    resources = _resources(model, files, context_length, concurrency)
    inventory = read_inventory(nodes)
    refs = [ref for resource in resources for ref in refs_of(resource)]
    with Console(stderr=True).status("reading facts of the model …"):
        known = look_up(refs, settings, offline, hub_timeout)
    compared = [
        compare_resource(
            *(resource, inventory.snapshot, known.__getitem__, settings),
            "" if model else resource.serving.metadata.name,
        )
        for resource in resources
    ]
    _publish(compared, inventory, output, output_file)
    return worst(entry.exit for entry in compared)


def _resources(
    model: str | None, files: tuple[str, ...], context_length: int | None, concurrency: int | None
) -> list[Resource]:
    if (model is None) == (not files):
        raise click.UsageError("name a model, or files with -f; not both")
    if model is None:
        if context_length is not None or concurrency is not None:
            raise click.UsageError("--context-length and --concurrency go with MODEL; files state them in spec")
        return resources_in(read_documents(files))
    asked: dict[str, Any] = {"contextLength": context_length, "concurrency": concurrency}
    spec = {"model": model} | {field: value for field, value in asked.items() if value is not None}
    content = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": _UNNAMED}, "spec": spec}
    return resources_in([Document("command line", 1, content)])


def _publish(compared: list[Compared], inventory: Inventory, output: str, output_file: str | None) -> None:
    if output == "table":
        if output_file is None:
            _print(compared, inventory, Console())
            return
        text = StringIO()
        _print(compared, inventory, Console(file=text, width=_FILE_WIDTH))
        content = text.getvalue()
    elif output == "markdown":
        content = comparison_markdown(compared)
    elif output == "html":
        # The template engine takes longer to load than other commands take in all.
        from modelserving.cli.compare_page import comparison_page

        content = comparison_page(compared, inventory)
    else:
        content = write(comparison_report(compared, inventory), output)
    if output_file is None:
        click.echo(content)
        return
    try:
        Path(output_file).write_text(content.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{output_file}: {error.strerror or error}") from error


def _print(compared: list[Compared], inventory: Inventory, console: Console) -> None:
    for entry in compared:
        print_table(console, Group(comparison_table(entry, console.width), Text()))
    print_table(console, Text(short(f"Compared for {inventory.sentence}."), style="dim"))
    sys.stdout.flush()
