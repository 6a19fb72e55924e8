"""`modelserving operator`: the operator itself, in this process."""

import click

from modelserving.app.environment import read_settings
from modelserving.app.runtime import main
from modelserving.cli.exits import Exit


@click.command("operator")
def operator_command() -> int:
    """Run the operator; settings come from MODELSERVING_* variables.

    Reaches the cluster as its pod's ServiceAccount, or through KUBECONFIG. Ends with 0 when asked to stop, with another code
    when it cannot go on.
    """
    ended = main(read_settings())
    return Exit(ended) if ended in {0, 1, 2, 3} else ended
