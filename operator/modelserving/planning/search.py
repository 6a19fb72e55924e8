"""The search: rung by rung, what exists before what could be made, tier by tier, candidate by candidate in the order of preference.

    for rung in (as asked, then the user's fallbacks)          planning.ladder
      for shapes in (nodes that exist, nodes that are declared)
        for tier in (one node, …, several nodes)                planning.layouts
          the first candidate that passes and is free now; if none is free, the first that passes

Each loop ends with the first that finds something, so nothing is given up, made or spread further than it takes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelserving.api.choices import Fallback
from modelserving.api.reasons import Reason
from modelserving.cluster.capacity import NodeShape
from modelserving.cluster.room import PodNeed
from modelserving.engine.versions import EngineVersion
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure
from modelserving.planning.candidates import Candidate, enumerate_candidates
from modelserving.planning.checkpoints import Method, methods
from modelserving.planning.evaluation import Evaluated, evaluate, fewest_gpus
from modelserving.planning.ladder import AS_ASKED, Rung, rungs, widest
from modelserving.planning.layouts import Tier
from modelserving.planning.placing import too_small
from modelserving.planning.plan import Rejected, Rejection
from modelserving.planning.request import PlanRequest
from modelserving.planning.settling import at_most, given_up, matches, settle

# Alternatives shown beside a plan: one for each other product, at most this many.
MOST_ALTERNATIVES = 3
# Reasons that speak for every layout of a model on a product (engine.rules): looking at one is enough.
WHATEVER_THE_LAYOUT = frozenset(
    {
        "ActOrderNotSupported",
        "ArchitectureNotSupported",
        "BatchSmallerThanPrompt",
        "ContextTooLong",
        "DtypeNotSupported",
        "KvCacheDtypeNeedsNewerGpu",
        "KvCacheDtypeNotSupported",
        "ModelTypeNotSupported",
        "NoOnTheFlyMethod",
        "QuantizationConfigMissing",
        "QuantizationDeprecated",
        "QuantizationMismatch",
        "QuantizationNeedsNewerGpu",
        "QuantizationNeedsOlderGpu",
        "UnknownQuantization",
        "UtilizationOutOfRange",
    }
)
Facts = Mapping[CheckpointRef, ModelFacts | FactsRefusal | MetadataFailure]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        passed: candidates that pass, best first; empty where none does.
        rejected: candidates that were looked at and do not.
    """

    passed: tuple[Evaluated, ...] = ()
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """A search for one request.

    Attributes:
        request: what is asked for.
        facts: of the checkpoints.
        version: of vLLM.
        sources: shapes of node in groups, the group that is preferred first.
        tiers: kinds of layouts to look at.
        quota: says what keeps pods of a candidate from ever being made; empty if nothing does.
    """

    request: PlanRequest
    facts: Facts
    version: EngineVersion
    sources: tuple[tuple[NodeShape, ...], ...]
    tiers: tuple[Tier, ...] = tuple(Tier)
    quota: Callable[[Evaluated], str] = field(default=lambda _: "", compare=False)
    _methods: dict[str, tuple[Method, ...]] = field(default_factory=dict, compare=False)

    def as_asked(self) -> Found:
        """Look for what was asked for, with nothing given up."""
        return self.on(AS_ASKED)

    def with_fallbacks(self) -> Found:
        """Look for what fits with the fewest and earliest of the user's fallbacks."""
        fallbacks = self.request.fallbacks
        if not self._may_fit(fallbacks):
            return Found()
        for count in range(1, len(fallbacks) + 1):
            if not self._may_fit(fallbacks[:count]):
                continue
            for rung in rungs(fallbacks[:count]):
                found = self.on(rung)
                if found.passed:
                    return found
        return Found()

    def _may_fit(self, fallbacks: Sequence[Fallback]) -> bool:
        """Whether anything fits where as much as possible of these is given up."""
        return any(self.on(rung, settled=False).passed for rung in widest(fallbacks))

    def on(self, rung: Rung, settled: bool = True) -> Found:
        """Look for candidates on one rung.

        Args:
            rung: what is given up.
            settled: whether to find how little is enough; otherwise the most is given up, to learn whether that is enough.
        """
        ways = self._ways(rung)
        rejected: list[Rejected] = []
        for shapes in self.sources:
            for tier in self.tiers:
                found = self._in_tier(rung, ways, shapes, tier, settled)
                rejected += found.rejected
                if found.passed:
                    return Found(found.passed, tuple(rejected))
        return Found((), tuple(rejected))

    def _ways(self, rung: Rung) -> tuple[Method, ...]:
        precision = rung.precision(self.request.precision)
        if precision not in self._methods:
            found = methods(self.request, self.facts, precision)
            self._methods[precision] = () if isinstance(found, Rejection) else found
        return self._methods[precision]

    def _in_tier(
        self, rung: Rung, ways: Sequence[Method], shapes: Iterable[NodeShape], tier: Tier, settled: bool
    ) -> Found:
        candidates = enumerate_candidates(self.request, ways, shapes, tier, rung, self._fewest_gpus)
        if rung.by_degrees and settled:
            return self._least_given_up(candidates)
        return self._first(candidates, at_most if rung.by_degrees else evaluate)

    def _fewest_gpus(self, candidate: Candidate) -> int:
        return fewest_gpus(self.request, candidate, self.version)

    def _first(
        self,
        candidates: Iterable[Candidate],
        check: Callable[[PlanRequest, Candidate, EngineVersion], Evaluated | Rejected],
    ) -> Found:
        """Check candidates in order; stop once the best is known and other products were seen to work.

        Of a product that works with n GPUs no more than n are looked at.
        """
        passed: list[Evaluated] = []
        rejected: list[Rejected] = []
        hopeless: dict[tuple[int, str], str] = {}
        for candidate in candidates:
            product = candidate.shape.gpu.product
            if any(outcome.candidate.shape.gpu.product == product for outcome in passed):
                continue
            if (candidate.order, product) in hopeless:
                continue
            outcome = self._startable(check(self.request, candidate, self.version))
            if isinstance(outcome, Rejected):
                rejected.append(outcome)
                if outcome.reason in WHATEVER_THE_LAYOUT:
                    hopeless[candidate.order, product] = outcome.reason
                continue
            passed.append(outcome)
            if len(passed) > MOST_ALTERNATIVES and any(self.is_free(earlier) for earlier in passed):
                break
        return Found(tuple(sorted(passed, key=lambda outcome: not self.is_free(outcome))), tuple(rejected))

    def _least_given_up(self, candidates: Iterable[Candidate]) -> Found:
        """Find what gives up least, then what is preferred.

        The largest candidates come first, since they give up least: most others are then known to give up more by one look.
        """
        passed: list[tuple[int, Evaluated]] = []
        rejected: list[Rejected] = []
        least: Evaluated | None = None
        for place, candidate in sorted(enumerate(candidates), key=lambda entry: -entry[1].gpus):
            if least is not None and not matches(self.request, candidate, self.version, least):
                continue
            outcome = self._startable(settle(self.request, candidate, self.version))
            if isinstance(outcome, Rejected):
                rejected.append(outcome)
                continue
            passed.append((place, outcome))
            if least is None or given_up(outcome) < given_up(least):
                least = outcome
        passed.sort(key=lambda entry: (given_up(entry[1]), not self.is_free(entry[1]), entry[0]))
        return Found(tuple(outcome for _, outcome in passed), tuple(rejected))

    def _startable(self, outcome: Evaluated | Rejected) -> Evaluated | Rejected:
        """What passes, unless its pods could never start: no node is large enough beside its GPUs, or a quota forbids them."""
        if isinstance(outcome, Rejected):
            return outcome
        candidate = outcome.candidate
        reason, message = Reason.NODES_TOO_SMALL, too_small(candidate.shape, pod_need(self.request, outcome))
        if not message:
            reason, message = Reason.OVER_QUOTA, self.quota(outcome)
        if not message:
            return outcome
        return Rejected(candidate.label, reason, message, candidate.gpus, candidate.shape.gpu.product)

    def is_free(self, outcome: Evaluated) -> bool:
        """Whether all replicas could start now."""
        layout, shape = outcome.candidate.layout, outcome.candidate.shape
        pods = 0 if shape.declared else shape.replicas_for(pod_need(self.request, outcome))
        return pods // layout.nodes >= self.request.replicas


def pod_need(request: PlanRequest, outcome: Evaluated) -> PodNeed:
    """What a pod of a candidate asks of each of its nodes."""
    candidate = outcome.candidate
    return request.pod.need(candidate.layout, outcome.host_memory_bytes, candidate.method.facts.checkpoint_bytes)
