"""`modelserving`: the command line, and its ends."""

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

import click

from modelserving import __version__
from modelserving.cli.exits import EXIT_CODES, Exit
from modelserving.errors import InputError, ModelServingError, SettingsError

# Where each command is: one is loaded when it is named, so that none waits for what another needs (the Hub's client: half a second).
_COMMANDS = {
    "catalogue": "catalogue:catalogue_group",
    "compare": "compare:compare_command",
    "crd": "crd:crd_command",
    "estimate": "estimate:estimate_command",
    "operator": "operator_command:operator_command",
    "plan": "plan:plan_command",
    "render": "render:render_command",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"modelserving.cli.{module}"), name)
        return command


@click.group(cls=_Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="modelserving")
def commands() -> None:
    """Serve models with vLLM on Kubernetes: the fewest GPUs that really work, with the arithmetic shown."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; whatever goes wrong ends in a sentence on standard error."""
    _speak_any_language()
    try:
        ended = commands.main(args=arguments, prog_name="modelserving", standalone_mode=False)
        return int(ended or 0)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.ClickException as error:
        error.show()
        return Exit.BAD_INPUT
    except (InputError, SettingsError) as error:
        click.echo(f"modelserving: {error}", err=True)
        return Exit.BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except ModelServingError as error:
        click.echo(f"modelserving: {error}", err=True)
        return Exit.REJECTED
    except BrokenPipeError:
        sys.stderr.close()
        return Exit.PLANNED
    except Exception:  # noqa: BLE001  the last line of defence: a fault of ours must not look like a rejection
        click.echo(
            f"modelserving {__version__} met a fault of its own; please report it:\n{traceback.format_exc()}", err=True
        )
        return Exit.BUG


def _speak_any_language() -> None:
    """A terminal that cannot show a character gets a question mark, not an exception."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def main() -> None:
    """Entry point of the program: ends at once, without waiting for threads that wait for a Hub."""
    code = run()
    with suppress(BrokenPipeError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    logging.shutdown()
    os._exit(code)
