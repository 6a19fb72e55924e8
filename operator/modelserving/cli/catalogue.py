"""`modelserving catalogue`: the facts that ship with the operator."""

import asyncio
from pathlib import Path

import click

from modelserving.cli.exits import Exit
from modelserving.cli.lookup import token
from modelserving.hub.catalogue import bundled
from modelserving.hub.client import HubClient
from modelserving.hub.refresh import refresh_catalogue
from modelserving.settings import Settings

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
        parameters = sum(entry.parameter_totals.values()) / BILLION
        architecture = (entry.config.get("architectures") or ["?"])[0]
        click.echo(f"{entry.model:{width}}  {parameters:7.2f} B  {architecture}")


@catalogue_group.command("refresh")
@click.argument("models", nargs=-1)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; left out: print it."
)
def refresh_command(models: tuple[str, ...], output: Path | None) -> Exit:
    """Read MODELS from the Hub (all of the bundled ones if none is named) and write them as a catalogue file.

    Reads metadata only. HF_ENDPOINT names a mirror, HF_TOKEN opens gated models.
    """
    text = asyncio.run(_refresh(models or tuple(bundled())))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
    return Exit.PLANNED


async def _refresh(models: tuple[str, ...]) -> str:
    settings = Settings()
    client = HubClient(settings.hub_endpoint, settings.hub_timeout_seconds, settings.hub_request_timeout_seconds)
    try:
        return await refresh_catalogue(models, client, token())
    finally:
        client.close()
