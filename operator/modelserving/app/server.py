"""/healthz, /readyz and /metrics over plain HTTP.

healthz  500 when the loop is stuck: the kubelet starts the process anew
readyz   200 when it acts, and when it stands by for another that does; 503 until then
"""

import logging
from collections.abc import Callable

from aiohttp import web

from modelserving.app.metrics import Metrics

_LOG = logging.getLogger(__name__)


class HttpServer:
    """The server.

    Args:
        host: address to listen on.
        port: port to listen on; 0: any free one, which is logged.
        metrics: what /metrics shows.
        ailment: says what is wrong with the process; empty where nothing is.
        readiness: says in a word what the process does (`leading`, `standby`); empty while it starts.
    """

    def __init__(
        self, host: str, port: int, metrics: Metrics, ailment: Callable[[], str], readiness: Callable[[], str]
    ) -> None:
        self._host = host
        self._port = port
        self._metrics = metrics
        self._ailment = ailment
        self._readiness = readiness
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._show_metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        self.port = 0

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        _LOG.info("listening on %s:%d", self._host, self.port)

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        ailment = self._ailment()
        return web.Response(text=f"{ailment or 'ok'}\n", status=500 if ailment else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        readiness = self._readiness()
        return web.Response(text=f"{readiness or 'starting'}\n", status=200 if readiness else 503)

    async def _show_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")
