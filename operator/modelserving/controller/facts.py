"""Facts of models, read in the background: a worker asks, and never waits.

    unknown ──lookup──▶ reading ──▶ known           until it is older than `max_age_seconds`
                           │          ▲
                           ▼          │ lookup, once the pause is over
                        failed ───────┘             the failure is told meanwhile; pauses double

One reading serves all resources that wait for the same checkpoint with the same token.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from modelserving.api.modelserving import SecretKeyRef
from modelserving.controller.ports import Known, MetadataPort, Pending, Telemetry, TokenPort
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure
from modelserving.models.reader import read_facts

_LOG = logging.getLogger(__name__)
# Readings at a time; each waits for the network, some of them for long, and those must not keep others waiting.
_READINGS = 64
# Facts kept in memory; each is some tens of KiB.
_KEPT = 256
LONGEST_PAUSE_SECONDS = 600.0
# What is wrong at the Hub itself gets mended there, and whoever mends it waits to see it.
FIRST_HOPELESS_PAUSE_SECONDS = 30.0
# A missing Secret is looked for more often than a Hub is asked: people make it right after they read the condition.
LONGEST_SECRET_PAUSE_SECONDS = 30.0
_SECRET_NOT_FOUND = "SecretNotFound"

_Facts = ModelFacts | FactsRefusal | MetadataFailure


@dataclass(frozen=True, slots=True)
class _Question:
    """A checkpoint, and with which token it is asked for."""

    ref: CheckpointRef
    namespace: str
    secret: str
    secret_key: str


@dataclass(slots=True)
class _Answer:
    """What is known of a question."""

    since: float
    value: _Facts | None = None
    good_until: float = 0.0
    failures: int = 0
    task: asyncio.Task[None] | None = None
    waiting: set[str] = field(default_factory=set)


class Facts:
    """Facts of models.

    Args:
        source: where metadata comes from.
        tokens: where tokens come from.
        ready: called with each key whose facts were read.
        max_age_seconds: age at which facts are read again for a new plan.
        retry_seconds: first pause after a failure.
        clock: monotonic seconds.
        telemetry: what is counted.
    """

    def __init__(
        self,
        source: MetadataPort,
        tokens: TokenPort,
        ready: Callable[[str], None],
        max_age_seconds: float,
        retry_seconds: float,
        clock: Callable[[], float],
        telemetry: Telemetry,
    ) -> None:
        self._source = source
        self._tokens = tokens
        self._ready = ready
        self._max_age_seconds = max_age_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._telemetry = telemetry
        self._answers: dict[_Question, _Answer] = {}
        self._turn = asyncio.Semaphore(_READINGS)

    def lookup(
        self, key: str, refs: Iterable[CheckpointRef], token_ref: SecretKeyRef | None, namespace: str
    ) -> Known | Pending:
        """Tell what is known of the checkpoints; start to read what is not, and call `ready` when it is there."""
        facts: dict[CheckpointRef, _Facts] = {}
        retry: list[float] = []
        pending: list[float] = []
        now = self._clock()
        for ref in refs:
            answer = self._answer(_question(ref, token_ref, namespace), token_ref, now)
            if answer.task is not None:
                answer.waiting.add(key)
            if answer.value is None:
                pending.append(now - answer.since)
                continue
            facts[ref] = answer.value
            if isinstance(answer.value, MetadataFailure) and answer.task is None:
                retry.append(max(0.0, answer.good_until - now))
        if pending:
            return Pending(max(pending))
        return Known(facts, min(retry) if retry else None)

    async def close(self) -> None:
        """Stop all readings."""
        tasks = [answer.task for answer in self._answers.values() if answer.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, question: _Question, token_ref: SecretKeyRef | None, now: float) -> _Answer:
        answer = self._answers.get(question)
        if answer is None:
            self._drop_oldest()
            answer = self._answers[question] = _Answer(since=now)
        if answer.task is None and (answer.value is None or now >= answer.good_until):
            answer.since = now
            answer.task = asyncio.create_task(self._read(question, token_ref, answer))
        return answer

    def _drop_oldest(self) -> None:
        if len(self._answers) >= _KEPT:
            idle = [(answer.since, question) for question, answer in self._answers.items() if answer.task is None]
            for _, question in sorted(idle, key=lambda entry: entry[0])[: _KEPT // 8]:
                del self._answers[question]

    async def _read(self, question: _Question, token_ref: SecretKeyRef | None, answer: _Answer) -> None:
        try:
            async with self._turn:
                value = await self._fetch(question, token_ref)
        except Exception as error:  # noqa: BLE001  a bug in reading one model must not stop the others
            _LOG.exception("facts of %s could not be read", question.ref.model)
            value = MetadataFailure(
                "MetadataInvalid", f"reading the facts of {question.ref.model} failed: {error}", True
            )
        pause = self._note(answer, value)
        outcome = value.reason if isinstance(value, MetadataFailure | FactsRefusal) else value.origin.value
        self._telemetry.facts_read(outcome, self._clock() - answer.since)
        if isinstance(value, MetadataFailure):
            _LOG.warning("%s: %s; asking again in %.0f s", question.ref.model, value.message, pause)
        answer.task = None
        waiting, answer.waiting = answer.waiting, set()
        for key in waiting:
            self._ready(key)

    async def _fetch(self, question: _Question, token_ref: SecretKeyRef | None) -> _Facts:
        token: str | None = None
        if token_ref is not None:
            found = await self._tokens.token(question.namespace, token_ref)
            if isinstance(found, MetadataFailure):
                return found
            token = found
        metadata = await self._source.fetch(question.ref, token, scope=question.namespace)
        return metadata if isinstance(metadata, MetadataFailure) else read_facts(metadata)

    def _note(self, answer: _Answer, value: _Facts) -> float:
        if not isinstance(value, MetadataFailure):
            answer.failures, pause = 0, self._max_age_seconds
        else:
            longest = LONGEST_SECRET_PAUSE_SECONDS if value.reason == _SECRET_NOT_FOUND else LONGEST_PAUSE_SECONDS
            doubled = self._retry_seconds * 2 ** min(answer.failures, 20)
            # What asking again hardly helps is still asked again: a model may be published, access may be granted.
            first = 0.0 if value.retryable else FIRST_HOPELESS_PAUSE_SECONDS
            pause = min(max(doubled, first), longest)
            answer.failures += 1
        answer.value, answer.good_until = value, self._clock() + pause
        return pause


def _question(ref: CheckpointRef, token_ref: SecretKeyRef | None, namespace: str) -> _Question:
    if token_ref is None:
        return _Question(ref, "", "", "")
    return _Question(ref, namespace, token_ref.name, token_ref.key)
