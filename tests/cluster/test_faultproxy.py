"""The proxy that the faults of other tests come from: what it passes on, and that each fault is what it says."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector

from cluster.conftest import WaitFor
from cluster.faultproxy import FaultProxy, Seen
from localcluster import LocalCluster, LocalClusterError


class Client:
    """A ServiceAccount that may edit one namespace, and knows the proxy only."""

    def __init__(self, session: ClientSession, proxy: FaultProxy, namespace: str) -> None:
        self._session = session
        self.url = f"{proxy.url}/api/v1/namespaces/{namespace}/configmaps"

    async def list(self) -> tuple[int, dict[str, Any]]:
        async with self._session.get(self.url) as response:
            return response.status, await response.json()

    async def create(self, name: str) -> tuple[int, dict[str, Any]]:
        async with self._session.post(self.url, json={"metadata": {"name": name}}) as response:
            return response.status, await response.json()

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[ClientResponse]:
        async with self._session.get(self.url, params={"watch": "true"}) as response:
            transport = response.connection.transport if response.connection else None
            yield response
            if transport:  # a polite TLS farewell would outlive the test's event loop
                transport.abort()
                await asyncio.sleep(0)


@pytest.fixture
async def client(local_cluster: LocalCluster, namespace: str, fault_proxy: FaultProxy) -> AsyncIterator[Client]:
    binding = [
        "create",
        "rolebinding",
        "e",
        "--clusterrole=edit",
        f"--serviceaccount={namespace}:editor",
        "-n",
        namespace,
    ]
    local_cluster.kubectl("create", "serviceaccount", "editor", "-n", namespace)
    local_cluster.kubectl(*binding)
    kubeconfig = local_cluster.service_account_kubeconfig(namespace, "editor", server=fault_proxy.url)
    token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    connector = TCPConnector(ssl=ssl.create_default_context(cafile=str(local_cluster.ca)))
    headers = {"Authorization": f"Bearer {token}"}
    async with ClientSession(connector=connector, headers=headers, timeout=ClientTimeout(total=20)) as session:
        yield Client(session, fault_proxy, namespace)


async def event(watch: ClientResponse) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(await asyncio.wait_for(watch.content.readline(), 10))
    return decoded


async def skip_to(watch: ClientResponse, name: str) -> None:
    while (await event(watch))["object"]["metadata"]["name"] != name:
        pass


async def test_requests_and_events_pass_as_they_are(client: Client, fault_proxy: FaultProxy) -> None:
    async with client.watch() as watch:
        assert (await client.create("one"))[0] == 201
        await asyncio.wait_for(skip_to(watch, "one"), 10)
        status, body = await client.create("one")
        assert (status, body["reason"]) == (409, "AlreadyExists")
        assert fault_proxy.watching("configmaps") == 1
    assert Seen("POST", client.url.removeprefix(fault_proxy.url), 409) in fault_proxy.seen


async def test_kubectl_works_through_it(
    local_cluster: LocalCluster, namespace: str, client: Client, fault_proxy: FaultProxy
) -> None:
    del client  # its ServiceAccount is what is wanted
    kubeconfig = local_cluster.service_account_kubeconfig(namespace, "editor", server=fault_proxy.url)
    local_cluster.kubectl("--kubeconfig", str(kubeconfig), "create", "configmap", "one")
    assert any(seen.method == "POST" and "configmaps" in seen.path for seen in fault_proxy.seen)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(410, "Expired"), (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")],
)
async def test_an_error_strikes_matching_requests_as_often_as_asked(
    client: Client, fault_proxy: FaultProxy, status: int, reason: str
) -> None:
    fault = fault_proxy.fail(status, method="GET", path="/configmaps", times=2)
    answers = [await client.list() for _ in range(3)]
    assert [answer[0] for answer in answers] == [status, status, 200]
    assert (answers[0][1]["kind"], answers[0][1]["reason"]) == ("Status", reason)
    assert fault.hits == 2


async def test_an_error_leaves_others_alone_and_ends_with_its_block(client: Client, fault_proxy: FaultProxy) -> None:
    with fault_proxy.fail(503, method="POST", path="/configmaps"):
        assert (await client.list())[0] == 200
        assert (await client.create("one"))[0] == 503
    assert (await client.create("one"))[0] == 201


async def test_too_many_requests_says_when_to_come_back(client: Client, fault_proxy: FaultProxy) -> None:
    fault_proxy.fail(429, retry_after=7)
    async with client._session.get(client.url) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    fault_proxy.clear()
    assert (await client.list())[0] == 200


async def test_an_answer_may_be_no_answer_of_kubernetes(client: Client, fault_proxy: FaultProxy) -> None:
    fault_proxy.answer("<html>please log in</html>", times=1)
    async with client._session.get(client.url) as response:
        assert (response.status, await response.text()) == (200, "<html>please log in</html>")


async def test_latency_is_added(client: Client, fault_proxy: FaultProxy) -> None:
    fault_proxy.delay(0.3, path="/configmaps")
    start = time.monotonic()
    assert (await client.list())[0] == 200
    assert time.monotonic() - start >= 0.3


async def test_a_lost_reply_leaves_the_write_done(
    client: Client, fault_proxy: FaultProxy, local_cluster: LocalCluster, namespace: str
) -> None:
    fault_proxy.lose_replies(method="POST", times=1)
    with pytest.raises(ClientError):
        await client.create("one")
    assert local_cluster.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/one")
    assert (await client.create("one"))[0] == 409


async def test_dropped_watches_break_and_can_be_opened_again(client: Client, fault_proxy: FaultProxy) -> None:
    async with client.watch() as watch:
        assert fault_proxy.drop_watches("/secrets") == 0
        assert fault_proxy.drop_watches("/configmaps") == 1
        with pytest.raises(ClientError):
            await watch.read()
    async with client.watch() as again:
        assert again.status == 200


async def test_an_expired_watch_ends_with_an_error_event(client: Client, fault_proxy: FaultProxy) -> None:
    async with client.watch() as watch:
        await client.create("one")
        await asyncio.wait_for(skip_to(watch, "one"), 10)
        assert fault_proxy.expire_watches("/configmaps") == 1
        last = await event(watch)
        assert (last["type"], last["object"]["code"]) == ("ERROR", 410)
        assert await watch.read() == b""


async def test_a_watch_that_its_client_leaves_ends(client: Client, fault_proxy: FaultProxy, wait_for: WaitFor) -> None:
    async with client.watch():
        assert fault_proxy.watching() == 1
    await asyncio.to_thread(wait_for, lambda: fault_proxy.watching() == 0, 5)


async def test_in_a_partition_nothing_gets_through_until_it_heals(client: Client, fault_proxy: FaultProxy) -> None:
    async with client.watch() as watch:
        fault_proxy.partition()
        with pytest.raises(ClientError):
            await watch.read()
    with pytest.raises(ClientError):
        await client.list()
    fault_proxy.heal()
    assert (await client.list())[0] == 200


async def test_a_dead_api_server_is_a_broken_connection(client: Client, local_cluster: LocalCluster) -> None:
    local_cluster.stop_apiserver()
    try:
        with pytest.raises(ClientError):
            await client.list()
        with pytest.raises(LocalClusterError):
            local_cluster.request("GET", "/readyz")
    finally:
        local_cluster.start_apiserver()
    assert (await client.list())[0] == 200
