"""Mutated configs and headers by their seeds, one after the other, each with a limit of processor time."""

import random
import signal
import sys
import time
import traceback
from collections import Counter
from types import FrameType

from fuzz.mutations import mutated, mutated_headers
from fuzz.verdict import DONORS, SEEDS, check_config, check_facts, headers_of

LONGEST_SECONDS = 5
EVERY_HEADERS = 10
MOST_SHOWN = 10
NAMES = sorted(SEEDS)


class HangError(Exception):
    """An input took longer than the limit."""


def one(seed: int) -> str:
    """Ask about the input of a seed; says what came of it."""
    chance = random.Random(seed)
    name = chance.choice(NAMES)
    if seed % EVERY_HEADERS == 0:
        return "facts" if check_facts(SEEDS[name], mutated_headers(headers_of(name), chance)) else "refused"
    return "estimate" if check_config(mutated(SEEDS[name], DONORS, chance), chance) else "refused"


def many(first: int, inputs: int) -> int:
    """Ask about the inputs of so many seeds, print what came of them; 1 where one broke."""
    signal.signal(signal.SIGVTALRM, _hang)
    told: Counter[str] = Counter()
    slowest, begun = (0.0, 0), time.monotonic()
    for seed in range(first, first + inputs):
        started = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_SECONDS)
        try:
            told[one(seed)] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            told["broken"] += 1
            if told["broken"] <= MOST_SHOWN:
                print(f"seed {seed}: {type(error).__name__}: {error}", file=sys.stderr)
                traceback.print_exc()
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        slowest = max(slowest, (time.process_time() - started, seed))
    took = time.monotonic() - begun
    shown = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(told.items()))
    print(
        f"{sum(told.values()):,} inputs of {len(NAMES)} models in {took:.0f} s: {shown}; slowest {slowest[0]:.2f} s, seed {slowest[1]}"
    )
    return 1 if told["broken"] else 0


def _hang(_signal: int, _frame: FrameType | None) -> None:
    raise HangError(f"no answer within {LONGEST_SECONDS} s")
