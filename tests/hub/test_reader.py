"""A reader that is made when it is first asked."""

import asyncio
import subprocess
import sys

from modelserving.hub.reader import LateReader
from modelserving.models.metadata import CheckpointRef, MetadataFailure


class Slow:
    """Stands in for a Hub's client, of which it only matters that it is made once and closed."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.closed = False

    async def fetch(self, ref: CheckpointRef, token: str | None = None) -> MetadataFailure:
        return MetadataFailure("HubUnreachable", f"{ref.model} {token}", retryable=True)

    def close(self) -> None:
        self.closed = True


async def test_it_is_made_once_by_all_who_ask_at_once() -> None:
    Slow.made, made = 0, []

    def make() -> Slow:
        made.append(Slow())
        return made[-1]

    reader = LateReader(make)
    found = await asyncio.gather(*(reader.fetch(CheckpointRef(f"a/{number}"), "t") for number in range(5)))
    assert [answer.message for answer in found if isinstance(answer, MetadataFailure)] == [f"a/{n} t" for n in range(5)]
    assert Slow.made == 1
    reader.close()
    assert made[0].closed


def test_one_that_nobody_asked_has_nothing_to_close() -> None:
    LateReader(Slow).close()


def test_the_operator_starts_without_the_hubs_client() -> None:
    """Importing it takes a fifth of a second, in which a new resource waits after a restart."""
    code = "import sys, modelserving.app.runtime; print('modelserving.hub.client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
