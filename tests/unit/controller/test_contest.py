"""Fights over a field end in longer and longer pauses; a person who tries things does not start one."""

from loop_cases import Clock
from modelserving.controller.contest import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Contests

WHERE = ("Deployment", "ns", "one")
REPLICAS = ["spec.replicas"]


def test_ten_fields_changed_once_are_no_fight() -> None:
    contests = Contests(Clock())
    for number in range(10):
        contests.corrected(WHERE, [f"spec.{number}"])
    assert contests.pause(WHERE) == 0.0


def test_one_field_changed_every_quarter_of_a_minute_is_one() -> None:
    clock = Clock()
    contests = Contests(clock)
    for _ in range(2):
        contests.corrected(WHERE, REPLICAS)
        assert contests.pause(WHERE) == 0.0
        clock.seconds += 15
    contests.corrected(WHERE, REPLICAS)
    assert contests.pause(WHERE) == FIRST_PAUSE_SECONDS
    assert contests.pause(("Service", "ns", "one")) == 0.0


def test_pauses_double_up_to_a_limit() -> None:
    clock = Clock()
    contests = Contests(clock)
    pauses = []
    for _ in range(12):
        contests.corrected(WHERE, REPLICAS)
        pauses.append(contests.pause(WHERE))
        clock.seconds += pauses[-1]
    assert pauses[2:5] == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_a_fight_that_ended_is_forgotten() -> None:
    clock = Clock()
    contests = Contests(clock)
    for _ in range(3):
        contests.corrected(WHERE, REPLICAS)
    clock.seconds += FIRST_PAUSE_SECONDS + 61
    assert contests.pause(WHERE) == 0.0
    contests.corrected(WHERE, REPLICAS)
    assert contests.pause(WHERE) == 0.0


def test_slow_changes_never_become_a_fight() -> None:
    clock = Clock()
    contests = Contests(clock)
    for _ in range(20):
        contests.corrected(WHERE, REPLICAS)
        assert contests.pause(WHERE) == 0.0
        clock.seconds += 40
