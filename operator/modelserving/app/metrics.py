"""What is counted, in Prometheus' words."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

_PREFIX = "modelserving_operator"
# From a look that changes nothing to one that waits for a slow API server.
_RECONCILE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)
_PLAN_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_FACTS_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60)
_WRITES = frozenset(("create", "update", "patch", "delete"))


class Metrics:
    """Counters of one operator process: the `Telemetry` of the loop, and what the client counts."""

    def __init__(self) -> None:
        # A second series beside each counter that only tells when the process started.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            f"{_PREFIX}_reconciles", "Looks at resources, by outcome.", ["outcome"], registry=self.registry
        )
        self._reconcile_seconds = Histogram(
            f"{_PREFIX}_reconcile_seconds", "Time one look takes.", buckets=_RECONCILE_BUCKETS, registry=self.registry
        )
        self._plans = Counter(f"{_PREFIX}_plans", "Plans made, and why none was.", ["reason"], registry=self.registry)
        self._plan_seconds = Histogram(
            f"{_PREFIX}_plan_seconds", "Time one plan takes.", buckets=_PLAN_BUCKETS, registry=self.registry
        )
        self._facts = Counter(
            f"{_PREFIX}_facts_reads",
            "Readings of models' facts, by where they came from or why not.",
            ["outcome"],
            registry=self.registry,
        )
        self._facts_seconds = Histogram(
            f"{_PREFIX}_facts_read_seconds",
            "Time one reading of facts takes.",
            buckets=_FACTS_BUCKETS,
            registry=self.registry,
        )
        self._requests = Counter(
            f"{_PREFIX}_api_requests",
            "Requests to the API server; code 0: no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._writes = Counter(
            f"{_PREFIX}_api_writes", "Requests to the API server that write.", ["resource"], registry=self.registry
        )

    def reconciled(self, outcome: str, seconds: float) -> None:
        """One look ended."""
        self._reconciles.labels(outcome).inc()
        self._reconcile_seconds.observe(seconds)

    def planned(self, reason: str, seconds: float) -> None:
        """One call of the planner ended."""
        self._plans.labels(reason).inc()
        self._plan_seconds.observe(seconds)

    def facts_read(self, outcome: str, seconds: float) -> None:
        """One reading of facts ended."""
        self._facts.labels(outcome).inc()
        self._facts_seconds.observe(seconds)

    def requested(self, verb: str, resource: str, code: int) -> None:
        """One request to the API server was answered."""
        self._requests.labels(verb, resource, str(code)).inc()
        if verb in _WRITES:
            self._writes.labels(resource).inc()

    def gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Show a value that is read when it is asked for."""
        Gauge(f"{_PREFIX}_{name}", description, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)
