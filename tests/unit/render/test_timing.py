import pytest

from modelserving.render.timing import MARGIN_SECONDS, SHORTEST_START_SECONDS, timing
from modelserving.units import GIB

SIZES = {
    # 16 GiB: 164 s of download and 33 s of reading stay below the shortest start.
    "a small model": (16 * GIB, 1800),
    # 136.3 GiB at 100 MiB/s are 1395.7 s, at 500 MiB/s 279.1 s, warm-up 300 s: 1396 + 280 + 300 = 1976, in whole tens.
    "a 72B model in 16 bit": (139_571 * 2**20, 1980),
    "nothing known": (0, 1800),
}


@pytest.mark.parametrize(("checkpoint", "seconds"), SIZES.values(), ids=SIZES)
def test_a_start_may_take_as_long_as_reading_the_checkpoint(checkpoint: int, seconds: int) -> None:
    assert timing(checkpoint, "0.32.0").engine_ready == seconds


@pytest.mark.parametrize("gibibytes", [0, 1, 40, 140, 700, 1500])
def test_the_engine_gives_up_first_then_the_kubelet_then_the_rollout(gibibytes: int) -> None:
    times = timing(gibibytes * GIB, "0.32.0")
    assert times.engine_ready >= SHORTEST_START_SECONDS
    assert times.engine_ready + MARGIN_SECONDS == times.startup < times.progress_deadline


def test_the_grace_period_holds_pause_drain_and_exit() -> None:
    assert timing(0, "0.32.0").grace == 10 + 60 + 30
    assert timing(0, "0.17.0").grace == 10 + 30
