"""One queue of keys: each at most once, never handed out twice at a time, the urgent first.

    add ──▶ waiting ──get──▶ processing ──done──▶ (added meanwhile? waiting again)
    add_after, retry ──timer──▶ add

As client-go's workqueue, with lanes: after a restart, what is new or changed does not stand behind a thousand keys that are not.
"""

import asyncio
import itertools
import random
from collections.abc import Callable
from enum import IntEnum

# Back-off of a key that failed: doubles from the first to the longest, as cert-manager's controllers do.
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 300.0
# Share of a pause that chance takes away, so that keys that failed together do not come back together.
_JITTER = 0.25


class Lane(IntEnum):
    """How urgent a key is; lower goes first."""

    CHANGED = 0  # somebody made, changed or damaged something
    PROGRESS = 1  # what was asked for goes its way
    UNCHANGED = 2  # a look whether all is still well


class WorkQueue:
    """The queue.

    Args:
        chance: draws a number in [0, 1).
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._ready: asyncio.PriorityQueue[tuple[Lane, int, str]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._waiting: dict[str, Lane] = {}
        self._processing: set[str] = set()
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._turn = asyncio.Lock()

    def add(self, key: str, lane: Lane = Lane.CHANGED) -> None:
        """Ask for a key to be processed; a key that waits already only gets more urgent."""
        if self._waiting.get(key, lane + 1) <= lane:
            return
        self._waiting[key] = lane
        if key not in self._processing:
            self._ready.put_nowait((lane, next(self._order), key))

    def add_after(self, key: str, seconds: float, lane: Lane = Lane.PROGRESS) -> None:
        """Add a key later; of several times the earliest counts. Processing the key before makes it void."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._fire, key, lane)

    def retry(self, key: str, at_least_seconds: float = 0.0) -> float:
        """Add a key that failed after a pause that grows with every failure in a row; returns the pause."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # 2^20 s is beyond any pause; the exponent must not grow for ever.
        pause: float = min(FIRST_RETRY_SECONDS * 2 ** min(failures, 20), LONGEST_RETRY_SECONDS)
        pause = max(pause * (1 - _JITTER * self._chance()), at_least_seconds)
        self.add_after(key, pause, Lane.UNCHANGED)
        return pause

    def succeeded(self, key: str) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """Wait for the most urgent key, and hold it until `done`."""
        while True:
            lane, _, key = await self._ready.get()
            # A key that got more urgent, or was taken meanwhile, leaves an entry behind that means nothing.
            if self._waiting.get(key) == lane and key not in self._processing:
                del self._waiting[key]
                self._processing.add(key)
                self._drop_timer(key)
                if lane is Lane.UNCHANGED:
                    # One in each round of the event loop: a thousand of them must not come between the steps of what is urgent.
                    async with self._turn:
                        await asyncio.sleep(0)
                return key

    def done(self, key: str) -> None:
        """Let go of a key; if it was added meanwhile, it waits again."""
        self._processing.discard(key)
        lane = self._waiting.get(key)
        if lane is not None:
            self._ready.put_nowait((lane, next(self._order), key))

    def depth(self, lane: Lane | None = None) -> int:
        """Count keys that wait, in one lane or in all."""
        if lane is None:
            return len(self._waiting)
        return sum(1 for waiting in self._waiting.values() if waiting is lane)

    def close(self) -> None:
        """Cancel what was to come later."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, key: str, lane: Lane) -> None:
        self._timers.pop(key, None)
        self.add(key, lane)

    def _drop_timer(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
