"""Waiting on conditions instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

from localcluster.errors import LocalClusterError

Answer = TypeVar("Answer")

PAUSE_SECONDS = 0.02


def wait_for(
    condition: Callable[[], Answer], timeout: float = 30.0, message: str = "", pause: float = PAUSE_SECONDS
) -> Answer:
    """Ask `condition` again and again until its answer is true, and return that answer.

    Args:
        condition: what is waited for. An `AssertionError` from it counts as "not yet" and is shown if time runs out.
        timeout: seconds.
        message: what is waited for, in words, for the error.
        pause: seconds between two questions.

    Raises:
        LocalClusterError: it did not come true in time; the message holds the last answer.
    """
    end = time.monotonic() + timeout
    while True:
        said: object
        try:
            answer = condition()
            if answer:
                return answer
            said = answer
        except AssertionError as not_yet:
            said = not_yet
        if time.monotonic() > end:
            what = message or getattr(condition, "__name__", "the condition")
            raise LocalClusterError(f"{what}: not within {timeout:g} s; last answer: {said!r}")
        time.sleep(pause)
