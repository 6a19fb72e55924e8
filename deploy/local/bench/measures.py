"""The measurements, each on a stage that the one before left settled."""

import time
from collections.abc import Callable, Iterable, Iterator

from bench.drift import CHANGES, put_back
from bench.figures import Figure, percentile
from bench.stage import DEPLOYMENTS, Stage
from bench.trail import counted
from localcluster import usage, wait_for

MIB = 2**20
# The times are read in the audit log: counting often would only take the API server's time.
COUNTED_EVERY_SECONDS = 0.5
Note = Callable[[Figure | Iterable[Figure]], None]


def idle_memory(stage: Stage) -> Figure:
    """Memory of an operator that has nothing to do yet but knows all nodes."""
    stage.settle()
    return Figure("RSS idle", "52 MiB (production-stack)", _rss(stage), 130, "MiB")


def one_at_a_time(stage: Stage, count: int) -> Iterator[Figure]:
    """From the request that makes a resource to the answer to the operator's write of its Deployment."""
    took, making, applying = [], [], []
    for number in range(count):
        name, begun = f"one-{number:04d}", time.time()
        stage.create(name)
        write = stage.first_write("deployments", name, begun)
        made = next(each for each in stage.trail.writes() if each.resource == "modelservings" and each.name == name)
        took.append((write.answered - made.received) * 1000)
        making.append((made.answered - made.received) * 1000)
        applying.append((write.answered - write.received) * 1000)
        stage.settle(quiet_seconds=0.3, timeout=30)
    # What follows finds the GPUs free that it counts on.
    stage.delete_all()
    made_in = (
        f"of it {percentile(making, 0.50):.1f} ms for the API server to take the resource, and "
        f"{percentile(applying, 0.50):.1f} ms to take the Deployment"
    )
    what = "apply to Deployment, one at a time"
    there = "where theirs were measured, the floor was"
    made_in = f"{made_in}; {there} 8.5 ms"
    yield Figure(f"{what}, p50", "16 ms (production-stack)", percentile(took, 0.50), 15, "ms", made_in)
    yield Figure(f"{what}, p99", "29 ms (production-stack)", percentile(took, 0.99), 40, "ms", f"{there} 21 ms")


def burst(stage: Stage, count: int) -> Iterator[Figure]:
    """Many at once: how long until all Deployments exist, and what it cost in writes once all is settled."""
    names = [f"burst-{number:04d}" for number in range(count)]
    before, begun = stage.count(DEPLOYMENTS), time.time()
    stage.create_many(names)
    wait_for(
        lambda: stage.operator.check() and stage.count(DEPLOYMENTS) >= before + count,
        900,
        "all Deployments",
        COUNTED_EVERY_SECONDS,
    )
    stage.settle()
    writes = stage.written(begun)
    last = max(each.answered for each in writes if each.resource == "deployments" and each.verb in ("create", "patch"))
    first = min(each.received for each in stage.trail.writes() if each.name == names[0])
    objects = [each for each in writes if not each.is_event]
    yield Figure(
        f"burst of {count:,} until all Deployments exist",
        "105 s (production-stack)",
        last - first,
        40,
        "s",
        "where theirs were measured, the floor was 26 s for 1,000",
    )
    yield Figure(
        "writes of objects per resource, settled",
        "2.2, then endless (production-stack)",
        len(objects) / count,
        3,
        "",
        counted(objects),
    )
    yield Figure("writes of Events per resource, settled", "-", (len(writes) - len(objects)) / count, None)
    yield Figure(
        f"RSS with {stage.count(DEPLOYMENTS):,} resources at rest", "90 MiB (production-stack)", _rss(stage), 130, "MiB"
    )


def idle_writes(stage: Stage, seconds: float) -> Figure:
    """Writes of a settled operator over a while."""
    begun, end = time.time(), time.monotonic() + seconds
    wait_for(lambda: stage.operator.check() and time.monotonic() >= end, seconds + 30, "the time to pass")
    writes = stage.written(begun)
    return Figure(
        f"writes in {seconds:g} s at rest", "0 (KAITO)", len(writes), 0, "", counted(writes) if writes else ""
    )


def after_restart(stage: Stage, seconds: float) -> Iterator[Figure]:
    """One resource made while the operator was down, beside all the others that did not change."""
    stage.operator.stop()
    stage.create("while-down")
    begun, operator = stage.restart()
    write = stage.first_write("deployments", "while-down", begun)
    yield Figure("new resource made while down, served after start", "24 s (KubeAI)", write.answered - begun, 3, "s")
    end = time.monotonic() + seconds
    wait_for(lambda: operator.check() and time.monotonic() >= end, seconds + 30, "the time to pass")
    others = [each for each in stage.written(begun) if "while-down" not in each.name]
    yield Figure(
        "writes after a restart, others unchanged", "926 (KAITO)", len(others), 0, "", counted(others) if others else ""
    )


def new_beside_many(stage: Stage) -> Figure:
    """One more resource beside all that are at rest."""
    begun = time.time()
    stage.create("beside-many")
    write = stage.first_write("deployments", "beside-many", begun)
    made = next(
        each for each in stage.trail.writes() if each.resource == "modelservings" and each.name == "beside-many"
    )
    return Figure(
        "new resource beside the others at rest", "100 s (production-stack)", write.answered - made.received, None, "s"
    )


def hand_changes(stage: Stage) -> Iterator[Figure]:
    """Owned fields changed by hand, one after the other, each put back before the next."""
    stage.create("edited")
    stage.settle()
    took = {field: put_back(stage, "edited", field) for field in CHANGES}
    kept = [field for field, seconds in took.items() if seconds is None]
    back = [seconds for seconds in took.values() if seconds is not None]
    yield Figure("owned fields changed by hand and never put back", "most", len(kept), 0, "", ", ".join(kept))
    if back:
        slowest = max(took, key=lambda field: took[field] or 0.0)
        yield Figure(
            "put back, slowest field",
            "0.1 s, image and GPUs only",
            max(back),
            0.5,
            "s",
            f"of {', '.join(took)}; {slowest}",
        )


def _rss(stage: Stage) -> float:
    return round(usage(stage.operator.process.pid).resident / MIB, 1)
