"""Fights with another writer over what is ours: put back at once, then more and more rarely, so that nobody spins.

Corrections are counted field by field: whoever changes ten fields once is a person, whoever changes one field again and again is a
controller. Beyond a few within a minute the object is left alone for a while, twice as long each time, and the status says why; once
nobody changed it for twice the pause all is forgotten.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# A HorizontalPodAutoscaler writes every 15 s: three in a minute are no coincidence.
MOST_CORRECTIONS = 3
WINDOW_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 600.0

Where = tuple[str, str, str]


@dataclass(slots=True)
class _Contest:
    """Corrections of one object: when each field was put back, and until when it is left alone."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    pause: float = 0.0
    until: float = 0.0


class Contests:
    """Who fights over what.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._contests: dict[Where, _Contest] = {}

    def pause(self, where: Where) -> float:
        """Seconds until an object may be put back; 0 where it may be now."""
        contest = self._contests.get(where)
        if contest is None:
            return 0.0
        past = self._clock() - contest.until
        if past > max(contest.pause, WINDOW_SECONDS):
            del self._contests[where]
        return max(0.0, -past)

    def corrected(self, where: Where, paths: Iterable[str]) -> None:
        """Count that fields of an object were put back."""
        now = self._clock()
        contest = self._contests.setdefault(where, _Contest(until=now))
        for path in paths:
            recent = [time for time in contest.times[path] if time > now - WINDOW_SECONDS]
            contest.times[path] = [*recent, now]
        again = contest.pause > 0 or max(map(len, contest.times.values()), default=0) >= MOST_CORRECTIONS
        if again:
            contest.pause = min(max(FIRST_PAUSE_SECONDS, 2 * contest.pause), LONGEST_PAUSE_SECONDS)
        contest.until = now + contest.pause

    def forget(self, where: Where) -> None:
        """Drop an object."""
        self._contests.pop(where, None)
