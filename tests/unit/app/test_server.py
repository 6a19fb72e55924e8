"""The HTTP server, asked over loopback; metrics and logs as others read them."""

import json
import logging
from collections.abc import AsyncIterator

import aiohttp
import pytest

from modelserving.app.logs import configure_logging
from modelserving.app.metrics import Metrics
from modelserving.app.server import HttpServer
from modelserving.settings import Settings


class Said:
    def __init__(self) -> None:
        self.ailment, self.readiness = "", ""


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def server(said: Said, metrics: Metrics) -> AsyncIterator[HttpServer]:
    found = HttpServer("127.0.0.1", 0, metrics, lambda: said.ailment, lambda: said.readiness)
    await found.start()
    yield found
    await found.close()


async def ask(server: HttpServer, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, (await answer.text()).strip()


async def test_healthz_says_what_is_wrong(server: HttpServer, said: Said) -> None:
    assert await ask(server, "/healthz") == (200, "ok")
    said.ailment = "stuck"
    assert await ask(server, "/healthz") == (500, "stuck")


async def test_readyz_is_well_once_the_process_leads_or_stands_by(server: HttpServer, said: Said) -> None:
    assert await ask(server, "/readyz") == (503, "starting")
    for said.readiness in ("standby", "leading"):
        assert await ask(server, "/readyz") == (200, said.readiness)


async def test_metrics_are_what_was_counted(server: HttpServer, metrics: Metrics) -> None:
    metrics.requested("patch", "deployments", 201)
    metrics.requested("get", "services", 404)
    metrics.planned("PlanFits", 0.002)
    metrics.reconciled("done", 0.01)
    metrics.facts_read("Hub", 1.0)
    metrics.gauge("queue_depth", "Keys that wait.", lambda: 3.0)
    _, text = await ask(server, "/metrics")
    assert 'modelserving_operator_api_writes_total{resource="deployments"} 1.0' in text
    assert 'modelserving_operator_api_requests_total{code="404",resource="services",verb="get"} 1.0' in text
    assert 'api_writes_total{resource="services"}' not in text
    assert "modelserving_operator_plan_seconds_count 1.0" in text
    assert "modelserving_operator_queue_depth 3.0" in text
    assert "_created" not in text


def test_a_log_line_as_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.root.handlers[:], logging.root.level
    try:
        configure_logging(Settings(log_format="json"))
        try:
            raise ValueError("surprise")
        except ValueError:
            logging.getLogger("test").exception("it failed: %s", "that\nthere")
        (line,) = capsys.readouterr().err.splitlines()
        logged = json.loads(line)
    finally:
        logging.root.handlers[:], logging.root.level = before
    assert (logged["level"], logged["message"]) == ("ERROR", "it failed: that\nthere")
    assert "ValueError: surprise" in logged["exception"]
