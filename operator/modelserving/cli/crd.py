"""`modelserving crd`: the definition of the resource, to apply."""

import click

from modelserving.api.crd import crd_yaml


@click.command("crd")
def crd_command() -> None:
    """Print the CustomResourceDefinition of modelservings.modelserving.dev."""
    click.echo(crd_yaml(), nl=False)
