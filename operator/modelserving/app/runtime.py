"""The process: stand by, lead, stop. Whatever part fails ends it with a non-zero code; Kubernetes starts it anew.

standing by ──Lease──▶ reading everything once ──▶ workers, watches, resync ──SIGTERM──▶ Lease released, 0
│
any task fails, Lease lost: 1
"""

import asyncio
import gc
import logging
import signal
import time

import kopf

from modelserving.app.assembly import Assembly
from modelserving.app.environment import own_identity, read_kubeconfig
from modelserving.app.handlers import operator_settings, registry
from modelserving.app.logs import configure_logging
from modelserving.app.metrics import Metrics
from modelserving.app.server import HttpServer
from modelserving.controller.delivery import NamedSlice
from modelserving.errors import ClusterError, ModelServingError, NotFoundError, SettingsError
from modelserving.kube.client import KubeClient
from modelserving.kube.connection import Connection, connection
from modelserving.kube.depth import read_anything
from modelserving.kube.lease import Lease
from modelserving.kube.reflector import Reflector
from modelserving.settings import Settings

_LOG = logging.getLogger(__name__)
# Pause before the first read is tried again, where the API server or the CRD is not there yet.
_FIRST_READ_RETRY_SECONDS = 2.0
# A look that takes longer than all its requests may is stuck.
_STUCK_SECONDS = 300.0
# Resyncs that may fail in a row before the process counts as cut off.
_RESYNCS_MISSED = 3


class _Stopped(Exception):
    """Somebody asked the process to end."""


class Runtime:
    """One process.

    Args:
        settings: of the operator.
        link: how to reach the API server.
        stop: set when the process shall end.
    """

    def __init__(self, settings: Settings, link: Connection, stop: asyncio.Event) -> None:
        self._settings = settings
        self._link = link
        self._stop = stop
        self._state = ""
        self._metrics = Metrics()
        self._client = KubeClient(link, self._metrics.requested)
        identity = own_identity(settings)
        self._lease = Lease(self._client, settings.namespace, identity, settings.lease_seconds, time.monotonic)
        self._parts = Assembly(settings, self._client, identity, self._metrics)
        self._server = HttpServer(
            settings.http_host, settings.http_port, self._metrics, self._ailment, lambda: self._state
        )
        self._metrics.gauge("leader", "1 while this process acts.", lambda: float(self._lease.leading))

    async def run(self) -> None:
        """Run until asked to stop.

        Raises:
            ExceptionGroup: a part failed.
        """
        await self._server.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._wait_for_stop(), name="stop")
                tasks.create_task(self._lead(), name="lead")
        except* _Stopped:
            _LOG.info("stopping")
        finally:
            self._state = ""
            await self._lease.release()
            await self._parts.close()
            await self._server.close()
            await self._client.close()

    async def _wait_for_stop(self) -> None:
        await self._stop.wait()
        raise _Stopped

    async def _lead(self) -> None:
        self._state = "standby"
        await self._lease.acquire()
        self._state = ""
        # What start-up makes stays for good: collections need not look at it, neither while all is read nor later.
        gc.freeze()
        parts = self._parts
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lease.keep(), name="lease")
            slices = await self._slices()
            reflectors = (*parts.reflectors, *((slices,) if slices is not None else ()))
            for reflector in reflectors:
                tasks.create_task(reflector.run(), name="reflector")
            await self._read_everything()
            for reflector in reflectors:
                await reflector.listed.wait()
            parts.reconciler.assume_known()
            tasks.create_task(parts.events.run(), name="events")
            tasks.create_task(parts.resync.run(), name="resync")
            for number in range(self._settings.workers):
                tasks.create_task(parts.workers.work(), name=f"worker {number}")
            gc.freeze()
            self._state = "leading"
            # Last: kopf takes every task that is created after its start for its own, and ends those with itself.
            tasks.create_task(self._watch(), name="kopf")

    async def _slices(self) -> Reflector[NamedSlice] | None:
        while True:
            try:
                return await self._parts.slices()
            except ClusterError as error:
                _LOG.warning("first read: %s", error)
            await asyncio.sleep(_FIRST_READ_RETRY_SECONDS)

    async def _read_everything(self) -> None:
        while True:
            try:
                return await self._parts.resync.once()
            except NotFoundError:
                _LOG.error("modelservings.modelserving.dev is not installed: apply the CRD (crds/); waiting for it")
            except ClusterError as error:
                _LOG.warning("first read: %s", error)
            await asyncio.sleep(_FIRST_READ_RETRY_SECONDS)

    async def _watch(self) -> None:
        """Let kopf deliver until cancelled.

        Raises:
            ModelServingError: kopf ended, which it does of its own accord where a watch fails for good.
        """
        ready = asyncio.Event()
        operator = asyncio.create_task(
            kopf.operator(
                registry=registry(self._parts.delivery, self._link.credentials),
                settings=operator_settings(),
                clusterwide=True,
                standalone=True,
                ready_flag=ready,
            ),
            name="kopf operator",
        )
        signals = asyncio.create_task(self._take_signals_back(ready), name="signals")
        try:
            await operator
        finally:
            operator.cancel()
            signals.cancel()
        if not self._stop.is_set():
            raise ModelServingError("kopf ended without being asked to")

    async def _take_signals_back(self, ready: asyncio.Event) -> None:
        """Kopf takes SIGTERM and SIGINT for itself when it starts; the process ends in our order."""
        await ready.wait()
        handle_signals(self._stop)

    def _ailment(self) -> str:
        if not self._lease.leading:
            return ""
        stuck = self._parts.workers.longest_seconds()
        if stuck > _STUCK_SECONDS:
            return f"a look at one resource has taken {stuck:.0f} s"
        age = self._parts.resync.age_seconds()
        if self._state and age > self._settings.resync_seconds * _RESYNCS_MISSED + _STUCK_SECONDS:
            return f"nothing could be read from the API server for {age:.0f} s"
        return ""


def handle_signals(stop: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT ask for the end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


async def run(settings: Settings, kubeconfig: str) -> None:
    """Run one operator until SIGTERM or SIGINT.

    Args:
        settings: of the operator.
        kubeconfig: path of a kubeconfig; empty: the ServiceAccount of this pod.
    """
    stop = asyncio.Event()
    handle_signals(stop)
    link = connection(kubeconfig)
    await link.open()
    await Runtime(settings, link, stop).run()


def main(settings: Settings) -> int:
    """Run the operator; 0 when asked to stop, 1 when a part failed, 2 when it cannot start as it is set up."""
    configure_logging(settings)
    read_anything()
    try:
        asyncio.run(run(settings, read_kubeconfig()))
    except SettingsError as error:
        _LOG.error("%s", error)
        return 2
    except BaseExceptionGroup as group:
        for leaf in _leaves(group):
            told = isinstance(leaf, ModelServingError)
            _LOG.error("ending: %s: %s", type(leaf).__name__, leaf, exc_info=None if told else leaf)
        return 1
    except OSError as error:
        _LOG.error("cannot start: %s", error)
        return 2
    return 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
