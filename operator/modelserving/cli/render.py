"""`modelserving render`: the manifests that the operator would apply."""

import json
from typing import Any

import click
import yaml

from modelserving.cli.exits import EXIT_CODES, Exit, worst
from modelserving.cli.options import plan_all, planning_options
from modelserving.cli.outcomes import Outcome
from modelserving.planning.plan import Plan
from modelserving.render.manifests import RenderProblem, render
from modelserving.settings import Settings

# The plan in its annotation is one long line of JSON: folded, it would be forty.
UNFOLDED = 2**20


@click.command("render", epilog=EXIT_CODES)
@planning_options
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def render_command(
    files: tuple[str, ...],
    nodes: tuple[str, ...],
    offline: bool,
    hub_timeout: float,
    engine_version: str | None,
    output: str,
) -> Exit:
    """Print the Deployment and Service the operator would apply.

    Standard output holds nothing but manifests; why a resource was rejected goes to standard error.
    """
    planned = plan_all(files, nodes, offline, hub_timeout, engine_version)
    rendered = [_manifests(outcome, planned.settings) for outcome in planned.outcomes]
    manifests = [manifest for found, _ in rendered for manifest in found]
    if output == "json":
        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}, indent=2))
    elif manifests:
        click.echo(yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=UNFOLDED), nl=False)
    return worst(code for _, code in rendered)


def _manifests(outcome: Outcome, settings: Settings) -> tuple[tuple[dict[str, Any], ...], Exit]:
    place = outcome.resource.document.place
    if not isinstance(outcome.result, Plan):
        click.echo(f"{place}: {outcome.reason}: {outcome.message}", err=True)
        return (), outcome.exit
    uid = outcome.resource.serving.metadata.uid
    manifests = render(outcome.resource.serving, outcome.result, settings)
    if isinstance(manifests, RenderProblem):
        click.echo(f"{place}: {manifests.reason}: {manifests.message}", err=True)
        return (), Exit.REJECTED
    return tuple(_ownerless(manifest) if not uid else manifest for manifest in manifests), outcome.exit


def _ownerless(manifest: dict[str, Any]) -> dict[str, Any]:
    """Leave out the reference to an owner that is only a file: the API server refuses one without uid."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
    return {**manifest, "metadata": metadata}
