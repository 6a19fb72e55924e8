"""`modelserving catalogue`: the facts that ship with the operator."""

import asyncio
import json
from pathlib import Path

import click

from modelserving.cli.exits import Exit
from modelserving.cli.lookup import token
from modelserving.errors import InputError
from modelserving.hub.catalogue import CatalogueEntry, as_metadata, bundled, lookup
from modelserving.hub.client import HubClient
from modelserving.hub.refresh import refresh_catalogue
from modelserving.models.facts import FactsRefusal
from modelserving.models.metadata import CheckpointRef
from modelserving.models.reader import read_facts
from modelserving.settings import Settings
from modelserving.units import GIB

BILLION = 10**9


@click.group("catalogue")
def catalogue_group() -> None:
    """Look at the bundled catalogue of models, or make a new one from a Hub.

    It answers where no Hub can be reached, so that well-known models are planned anywhere.
    """


@catalogue_group.command("list")
def list_command() -> None:
    """List the models that can be planned without a Hub."""
    entries = sorted(bundled().values(), key=lambda entry: entry.model.casefold())
    width = max(len(entry.model) for entry in entries)
    for entry in entries:
        click.echo(f"{entry.model:{width}}  {_facts_line(entry)}")


@catalogue_group.command("show")
@click.argument("model")
def show_command(model: str) -> Exit:
    """Show what the catalogue holds of MODEL, and where it is from."""
    found = lookup(CheckpointRef(model))
    if found is None:
        raise InputError(f"the bundled catalogue has no entry for {model}; see `modelserving catalogue list`")
    entry = bundled()[found.model]
    click.echo(f"{entry.model}  {_facts_line(entry)}")
    click.echo(f"revision  {entry.commit or 'main, of no stated commit'}")
    click.echo(f"source    {entry.source}")
    for dtype, count in entry.parameter_totals.items():
        click.echo(f"{dtype:9} {count:,}")
    click.echo(json.dumps(dict(entry.config), indent=2))
    return Exit.PLANNED


@catalogue_group.command("refresh")
@click.argument("models", nargs=-1)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; left out: print it."
)
@click.option("--keep", is_flag=True, help="Keep the bundled entry of a model that cannot be read.")
def refresh_command(models: tuple[str, ...], output: Path | None, keep: bool) -> Exit:
    """Read MODELS from the Hub (all of the bundled ones if none is named) and write them as a catalogue file.

    Reads metadata only. HF_ENDPOINT names a mirror, HF_TOKEN opens gated models.
    """
    text, kept = asyncio.run(_refresh(models or tuple(bundled()), keep))
    for failure in kept:
        click.echo(f"kept as it was: {failure}", err=True)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
    return Exit.PLANNED


def _facts_line(entry: CatalogueEntry) -> str:
    """Parameters, precision, size and architecture; packed weights count as what they stand for."""
    architecture = (entry.config.get("architectures") or ["?"])[0]
    facts = read_facts(as_metadata(entry))
    if isinstance(facts, FactsRefusal):
        return f"{'?':>7} B  {'?':5} {'?':>7} GiB  {architecture}"
    size = f"{facts.checkpoint_bytes / GIB:7.1f} GiB"
    return f"{facts.parameter_count / BILLION:7.2f} B  {facts.stored_precision:5} {size}  {architecture}"


async def _refresh(models: tuple[str, ...], keep: bool) -> tuple[str, tuple[str, ...]]:
    settings = Settings()
    client = HubClient(settings.hub_endpoint, settings.hub_timeout_seconds, settings.hub_request_timeout_seconds)
    try:
        return await refresh_catalogue(models, client, token(), bundled() if keep else {})
    finally:
        client.close()
