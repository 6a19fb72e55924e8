"""Exit codes of the command line; the README and `--help` list them."""

from collections.abc import Iterable
from enum import IntEnum


class Exit(IntEnum):
    """What a command ends with."""

    PLANNED = 0
    """Everything was planned; a plan that waits for free GPUs counts."""
    REJECTED = 1
    """At least one resource was rejected; the reason is printed."""
    BAD_INPUT = 2
    """A file, a field or an option is wrong; nothing was planned."""
    NO_FACTS = 3
    """The facts of at least one model could not be had."""
    BUG = 70
    """The program is wrong (EX_SOFTWARE of sysexits.h)."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C (128 + SIGINT, as shells do)."""


# Sentences for `--help`, by what happened.
EXIT_CODES = """\b
Exit codes:
  0  everything was planned (a plan may wait for free GPUs)
  1  at least one resource was rejected; the reason is printed
  2  a file, a field or an option is wrong; nothing was planned
  3  the facts of a model could not be had
"""


def worst(codes: Iterable[Exit]) -> Exit:
    """Return the code for a whole run from those of its resources."""
    return max(codes, default=Exit.PLANNED)
