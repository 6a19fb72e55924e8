"""Puts the parts of one operator together. What runs, and for how long, is `runtime`'s."""

import logging
import time
from datetime import UTC, datetime
from typing import Any

from modelserving.app.metrics import Metrics
from modelserving.cluster.declared import declared_shape
from modelserving.cluster.quotas import Quota, quota_of
from modelserving.controller.cache import Cache
from modelserving.controller.children import Child, child_of
from modelserving.controller.decide import Decider
from modelserving.controller.delivery import Delivery, NamedSlice, slice_of
from modelserving.controller.facts import Facts
from modelserving.controller.interest import Interests
from modelserving.controller.loop import Resync, Workers
from modelserving.controller.picture import ClusterPicture
from modelserving.controller.pods import Pod, pod_of
from modelserving.controller.reconcile import Reconciler
from modelserving.controller.report import Reporter
from modelserving.controller.resources import CHILDREN, PODS, QUOTAS, SLICES, Resource
from modelserving.controller.troubles import Troubles
from modelserving.controller.unused_facts import UnusedFacts
from modelserving.controller.workload import Workload
from modelserving.controller.workqueue import Lane, WorkQueue
from modelserving.errors import ForbiddenError
from modelserving.hub.reader import ClosableReader, LateReader
from modelserving.hub.source import MetadataSource
from modelserving.kube.client import KubeClient
from modelserving.kube.events import Events
from modelserving.kube.facts_store import FactsStore
from modelserving.kube.hub_tokens import HubTokens
from modelserving.kube.reflector import Reflector
from modelserving.render.names import MANAGED_BY_LABEL, MANAGER
from modelserving.settings import Settings

_LOG = logging.getLogger(__name__)
# Pods that have ended are not followed: the API server leaves them out.
_LIVING_PODS = "status.phase!=Succeeded,status.phase!=Failed"


class Assembly:
    """One operator: its parts, none of them running.

    Args:
        settings: of the operator.
        client: API server.
        identity: name of this replica.
        metrics: what is counted.
    """

    def __init__(self, settings: Settings, client: KubeClient, identity: str, metrics: Metrics) -> None:
        clock = time.monotonic
        self._workers = settings.workers
        cache, interests = Cache(), Interests()
        self.queue = WorkQueue()
        picture = ClusterPicture(clock, tuple(map(declared_shape, settings.node_shapes)), settings.gpu_prices)
        self.events = Events(client, identity, self._is_overloaded)
        self.hub = _hub(settings)
        store = FactsStore(client, settings.namespace)
        source = MetadataSource(self.hub, store, settings.hub_max_age_seconds, settings.hub_retry_seconds)
        self.facts = Facts(
            source,
            HubTokens(client),
            self.queue.add,
            settings.hub_max_age_seconds,
            settings.hub_retry_seconds,
            clock,
            metrics,
        )
        troubles = Troubles()
        self.delivery = Delivery(cache, picture, troubles, self.queue, interests)
        reporter = Reporter(
            client, cache, self.events, settings.status_settle_seconds, self._is_behind, clock, _time_of_day
        )
        decider = Decider(settings, self.facts, picture, metrics)
        self.reconciler = Reconciler(
            settings,
            cache,
            picture,
            troubles,
            decider,
            Workload(client, cache, self._is_overloaded, clock),
            reporter,
            interests,
            _time_of_day,
        )
        self.workers = Workers(self.queue, self.reconciler, metrics, clock)
        tidy = UnusedFacts(cache, store).drop
        self.resync = Resync(client, self.delivery, tidy, settings.resync_seconds, clock)
        self.reflectors: tuple[Reflector[Any], ...] = (
            *(self._children(client, resource) for resource in CHILDREN.values()),
            self._pods(client),
            self._quotas(client),
        )
        self._client = client
        metrics.gauge("queue_depth", "Resources that wait to be looked at.", lambda: float(self.queue.depth()))
        metrics.gauge("resync_age_seconds", "Time since the last full read.", self.resync.age_seconds)

    async def slices(self) -> Reflector[NamedSlice] | None:
        """Follows ResourceSlices, where the cluster has them; None where it does not.

        Raises:
            ClusterError: the API server did not answer.
        """
        for resource in SLICES:
            try:
                if not await self._client.serves(resource):
                    continue
            except ForbiddenError as error:
                _LOG.warning("ResourceSlices are left out, nodes are known by their labels alone: %s", error)
                return None
            return Reflector(
                self._client,
                resource,
                slice_of,
                lambda found, _: self.delivery.slices_listed(found),
                self.delivery.slice,
            )
        return None

    async def close(self) -> None:
        """Stop what runs in the background."""
        self.queue.close()
        await self.facts.close()
        if self.hub is not None:
            self.hub.close()

    def _is_overloaded(self) -> bool:
        """Whether more resources wait for what was asked of them than workers take up at once: what can wait then does."""
        return self.queue.depth(Lane.CHANGED) > self._workers

    def _is_behind(self) -> bool:
        """Whether so much waits that what a status would tell now is likely outdated before it is read."""
        return self.queue.depth(Lane.CHANGED) + self.queue.depth(Lane.PROGRESS) > self._workers

    def _children(self, client: KubeClient, resource: Resource) -> Reflector[Child]:
        return Reflector(
            client,
            resource,
            lambda manifest: child_of(manifest, resource),
            lambda children, version: self.delivery.children_listed(resource, children, version),
            self.delivery.child,
            label_selector=f"{MANAGED_BY_LABEL}={MANAGER}",
        )

    def _pods(self, client: KubeClient) -> Reflector[Pod]:
        return Reflector(
            client,
            PODS,
            pod_of,
            lambda pods, _: self.delivery.pods_listed(pods),
            self.delivery.pod,
            field_selector=_LIVING_PODS,
        )

    def _quotas(self, client: KubeClient) -> Reflector[Quota]:
        return Reflector(
            client,
            QUOTAS,
            quota_of,
            lambda quotas, _: self.delivery.quotas_listed(quotas),
            self.delivery.quota,
        )


def _hub(settings: Settings) -> LateReader | None:
    return LateReader(lambda: _hub_client(settings)) if settings.hub_enabled else None


def _hub_client(settings: Settings) -> ClosableReader:
    from modelserving.hub.client import HubClient

    return HubClient(settings.hub_endpoint, settings.hub_timeout_seconds, settings.hub_request_timeout_seconds)


def _time_of_day() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
