"""Where the facts of a checkpoint come from, in order: what is known already, the Hub, the bundled catalogue.

    entry that is fresh, or of the commit a plan is pinned to ──▶ that entry
    else the Hub answers                                      ──▶ its answer, kept; or its refusal, believed
    else (no Hub to be reached, or switched off)              ──▶ an older entry, else the catalogue, else a failure that says both

A Hub that could not be reached is left alone for a while that grows, so that a thousand resources do not wait a thousand times.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from modelserving.errors import ClusterError
from modelserving.hub.cache import CachedMetadata, MetadataStore
from modelserving.hub.catalogue import lookup
from modelserving.hub.names import is_commit, name_failure
from modelserving.hub.reader import MetadataReader
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata

_LOG = logging.getLogger(__name__)
# Entries kept in memory; each is some tens of KiB.
_KEPT = 256
_LONGEST_PAUSE_SECONDS = 600.0
# Models that must fail one after the other before the Hub itself is taken to be down.
_MODELS_TO_JUDGE_BY = 3
_SETTING = "MODELSERVING_HUB_ENDPOINT"
_Answer = ModelMetadata | MetadataFailure


class MetadataSource:
    """Facts of checkpoints, by the policy above.

    Args:
        hub: the Hub; None where it is switched off.
        store: where entries outlive the process; None keeps them in memory only.
        max_age_seconds: age at which a branch is resolved anew for a new plan.
        retry_seconds: first pause after the Hub could not be reached; doubles up to ten minutes.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        hub: MetadataReader | None,
        store: MetadataStore | None = None,
        max_age_seconds: float = 86_400.0,
        retry_seconds: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hub = hub
        self._store = store
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._pause = _Pause(retry_seconds)
        self._kept: OrderedDict[CheckpointRef, CachedMetadata] = OrderedDict()
        self._reading: dict[tuple[CheckpointRef, str | None, str], asyncio.Task[_Answer]] = {}

    async def fetch(
        self, ref: CheckpointRef, token: str | None = None, scope: str = "", pinned: str | None = None
    ) -> ModelMetadata | MetadataFailure:
        """Find the metadata of a checkpoint.

        Args:
            ref: checkpoint as the resource names it.
            token: token of the Secret that the resource names.
            scope: who may use what only this token may read: the Secret's namespace.
            pinned: commit that a plan in force is pinned to; its facts are returned, whatever the branch means now.
        """
        failure = name_failure(ref)
        if failure is not None:
            return failure
        entry = await self._entry(ref, scope)
        if pinned is not None and (entry is None or entry.metadata.revision != pinned):
            ref = CheckpointRef(ref.model, pinned)
            entry = await self._entry(ref, scope)
        if entry is not None and (pinned is not None or entry.is_fresh(ref, self._clock(), self._max_age_seconds)):
            return entry.metadata
        return await self._shared(ref, token, scope, entry)

    async def _shared(
        self, ref: CheckpointRef, token: str | None, scope: str, entry: CachedMetadata | None
    ) -> ModelMetadata | MetadataFailure:
        """Read once for all who ask for the same at the same time; one of them going away stops nothing."""
        key = (ref, token, scope)
        task = self._reading.get(key)
        if task is None:
            task = asyncio.create_task(self._read(ref, token, scope, entry))
            self._reading[key] = task
            task.add_done_callback(lambda _: self._reading.pop(key, None))
        return await asyncio.shield(task)

    async def _read(
        self, ref: CheckpointRef, token: str | None, scope: str, entry: CachedMetadata | None
    ) -> ModelMetadata | MetadataFailure:
        answer = await self._ask_hub(ref, token)
        if isinstance(answer, ModelMetadata):
            await self._keep(ref, CachedMetadata(answer, self._clock(), scope if answer.restricted else ""))
            return answer
        if answer is not None and answer.reason != "HubUnreachable":
            return answer
        if entry is not None:
            return entry.metadata
        return lookup(ref) or _nowhere(ref, answer)

    async def _ask_hub(self, ref: CheckpointRef, token: str | None) -> ModelMetadata | MetadataFailure | None:
        """The Hub's answer; None where it is switched off."""
        if self._hub is None:
            return None
        last = self._pause.reason(self._clock())
        if last is not None:
            return last
        answer = await self._hub.fetch(ref, token)
        self._pause.note(ref.model, answer, self._clock())
        return answer

    async def _entry(self, ref: CheckpointRef, scope: str) -> CachedMetadata | None:
        entry = self._kept.get(ref)
        if entry is None and self._store is not None:
            try:
                entry = await self._store.get(ref)
            except ClusterError as error:
                _LOG.warning("facts of %s could not be read from the cache: %s", ref.model, error)
            if entry is not None:
                self._remember(ref, entry)
        return entry if entry is not None and entry.is_open_to(scope) else None

    async def _keep(self, ref: CheckpointRef, entry: CachedMetadata) -> None:
        """Keep an entry under what was asked and under its commit: plans in force ask by commit when the branch has moved on."""
        for name in dict.fromkeys((CheckpointRef(ref.model, entry.metadata.revision), ref)):
            self._remember(name, entry)
            try:
                if self._store is not None:
                    await self._store.put(name, entry)
            except ClusterError as error:
                _LOG.warning("facts of %s could not be kept in the cache: %s", ref.model, error)

    def _remember(self, ref: CheckpointRef, entry: CachedMetadata) -> None:
        self._kept[ref] = entry
        self._kept.move_to_end(ref)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


class _Pause:
    """Whether the Hub is left alone, and why.

    One model whose answer fails or is slow says nothing of the Hub: others are still asked for. Where several fail one after the other
    and none succeeds, it is the Hub.
    """

    def __init__(self, first_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._seconds = 0.0
        self._until = 0.0
        self._last: MetadataFailure | None = None
        self._failed: set[str] = set()

    def reason(self, now: float) -> MetadataFailure | None:
        """The failure that the pause is for; None where the Hub may be asked."""
        # A clock that was set back must not turn minutes into years.
        return self._last if 0 < self._until - now <= self._seconds else None

    def note(self, model: str, answer: ModelMetadata | MetadataFailure, now: float) -> None:
        """Take an answer of the Hub into account."""
        if isinstance(answer, ModelMetadata) or answer.reason != "HubUnreachable":
            self._seconds, self._last = 0.0, None
            self._failed.clear()
            return
        self._failed.add(model)
        # Requests that were under way together count as one.
        if len(self._failed) >= _MODELS_TO_JUDGE_BY and now >= self._until:
            self._seconds = min(max(self._seconds * 2, self._first_seconds), _LONGEST_PAUSE_SECONDS)
            self._until, self._last = now + self._seconds, answer


def _nowhere(ref: CheckpointRef, unreachable: MetadataFailure | None) -> MetadataFailure:
    known = lookup(CheckpointRef(ref.model)) is not None
    lacks = f"has {ref.model}, but not its revision {ref.revision}" if known else f"has no entry for {ref.model}"
    pinned = "" if is_commit(ref.revision) or not known else "; leave out spec.revision to use the catalogue's facts"
    if unreachable is None:
        return MetadataFailure(
            "ModelNotFound",
            f"asking the Hub is switched off, and the bundled catalogue {lacks}; switch it on with MODELSERVING_HUB_ENABLED=true, "
            f"or name a mirror in {_SETTING}{pinned}",
            retryable=False,
        )
    return MetadataFailure(
        "HubUnreachable",
        f"{unreachable.message}, and the bundled catalogue {lacks}; let the operator reach the Hub, or name a mirror in "
        f"{_SETTING}{pinned}",
        retryable=True,
    )
