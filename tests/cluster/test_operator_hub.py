"""Facts from a Hub, well and sick, while other resources go their way. The Hub is on loopback; none other can be reached here."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from cluster.operator_process import OperatorProcess, Servings
from hub.checkpoints import CONFIG, shards
from hub.loopback_hub import Answer, LoopbackHub, always, refusal, running_hub
from installation import Installation
from localcluster import LocalCluster, wait_for

pytestmark = pytest.mark.timeout(300)
MODEL, OTHER = "org/tiny", "org/other"
DESCRIPTION = f"{MODEL}/revision/main"
CONFIG_JSON = "config.json"
FACTS = "/api/v1/namespaces/modelserving-system/configmaps"


@pytest.fixture(scope="module")
def installation(local_cluster: LocalCluster) -> Installation:
    return Installation.install(local_cluster)


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A Hub in a thread of its own, with two small models."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = AsyncExitStack()
    found = asyncio.run_coroutine_threadsafe(stack.enter_async_context(running_hub()), loop).result(10)
    for model in (MODEL, OTHER):
        found.add(model, CONFIG, shards())
    yield found
    asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def settings(hub: LoopbackHub) -> dict[str, str]:
    return {
        "HUB_ENABLED": "true",
        "HUB_ENDPOINT": hub.endpoint,
        "HUB_TIMEOUT_SECONDS": "6",
        "HUB_REQUEST_TIMEOUT_SECONDS": "2",
        "HUB_RETRY_SECONDS": "1",
    }


@pytest.fixture
def operator(installation: Installation, hub: LoopbackHub, local_cluster: LocalCluster) -> Iterator[OperatorProcess]:
    forget_facts(local_cluster)
    with OperatorProcess(installation, settings=settings(hub)) as process:
        yield process.wait_ready()
        print(process.said(50))  # shown where the test failed


@pytest.fixture
def servings(local_cluster: LocalCluster, namespace: str) -> Servings:
    return Servings(local_cluster, namespace)


def forget_facts(cluster: LocalCluster) -> None:
    for each in stored_facts(cluster):
        cluster.request("DELETE", f"{FACTS}/{each}")


def stored_facts(cluster: LocalCluster) -> list[str]:
    items = cluster.request("GET", FACTS)["items"]
    return [each["metadata"]["name"] for each in items if each["metadata"]["name"].startswith("model-facts-")]


def never(hub: LoopbackHub) -> Answer:
    async def wait(_: web.Request) -> web.StreamResponse:
        await hub.closing.wait()
        return web.Response()

    return wait


def test_a_model_is_read_once_pinned_to_its_commit_and_not_asked_for_again_after_a_restart(
    operator: OperatorProcess, servings: Servings, hub: LoopbackHub, installation: Installation
) -> None:
    servings.create("read", MODEL)
    plan = servings.wait_ready("read")["status"]["plan"]
    commit = hub.repositories[MODEL].commit
    assert (plan["factsFrom"], plan["modelRevision"]) == ("Hub", commit)
    assert f"--revision={commit}" in plan["arguments"]
    servings.create("read-too", MODEL)
    servings.wait_ready("read-too")
    assert len(hub.asked(DESCRIPTION)) == 1
    assert stored_facts(servings.cluster)
    operator.stop()
    hub.seen.clear()
    with OperatorProcess(installation, settings=settings(hub)) as again:
        again.wait_ready()
        servings.create("read-later", MODEL)
        servings.wait_ready("read-later")
    assert hub.seen == []


@pytest.mark.usefixtures("operator")
def test_a_hub_that_is_down_is_told_of_and_asked_again_when_it_is_back(servings: Servings, hub: LoopbackHub) -> None:
    hub.fail("", refusal(503))
    servings.create("early", MODEL)
    assert MODEL in servings.wait("early", "Planned", "HubUnreachable")
    servings.create("beside", "Qwen/Qwen2.5-0.5B-Instruct")
    assert servings.wait_ready("beside")["status"]["plan"]["factsFrom"] == "Catalogue"
    hub.faults.clear()
    servings.wait_ready("early")


@pytest.mark.usefixtures("operator")
def test_a_slow_hub_holds_up_nobody_else(servings: Servings, hub: LoopbackHub) -> None:
    hub.fail(DESCRIPTION, never(hub))
    for number in range(20):
        servings.create(f"stuck-{number}", MODEL)
    servings.wait("stuck-0", "Planned", "ReadingModelFacts")
    assert servings.condition("stuck-0", "Planned")[0] == "Unknown"
    servings.create("other", OTHER)
    servings.wait_ready("other")
    servings.wait("stuck-19", "Planned", "HubUnreachable")


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("path", "answer", "reason"),
    [
        pytest.param(DESCRIPTION, always(body=b"<html>log in</html>", content_type="text/html"), "", id="HTML"),
        pytest.param(CONFIG_JSON, always(body=b'{"architectures": ["Llama'), "", id="a truncated config.json"),
        pytest.param(
            CONFIG_JSON, always(body=b'{"architectures": ["LlamaForCausalLM"], "hidden_size": "x"}'), "", id="types"
        ),
        pytest.param(DESCRIPTION, refusal(404, "RepoNotFound"), "ModelNotFound", id="a model that does not exist"),
        pytest.param(CONFIG_JSON, refusal(401, "GatedRepo"), "AccessDenied", id="a gated model"),
    ],
)
def test_a_hub_that_answers_badly_stops_that_model_and_no_other(
    servings: Servings, hub: LoopbackHub, path: str, answer: Answer, reason: str
) -> None:
    servings.create("running", MODEL)
    before = servings.wait_ready("running")
    # Resources of tests before may not be gone yet: a name of its own.
    bad = f"org/bad-{servings.namespace}"
    hub.repositories[bad] = hub.repositories[MODEL]
    hub.fail(path.replace(MODEL, bad), answer)
    servings.create("bad", bad)
    wait_for(lambda: servings.condition("bad", "Planned")[0] == "False", 20, "the refusal")
    found = servings.condition("bad", "Planned")
    assert reason in ("", found[1])
    assert found[2]
    servings.create("good", OTHER if path == DESCRIPTION else "Qwen/Qwen2.5-0.5B-Instruct")
    if path == DESCRIPTION:
        servings.wait_ready("good")
    assert servings.get("running")["status"]["plan"] == before["status"]["plan"]
    assert servings.condition("running", "Available")[:2] == ("True", "PodsReady")


@pytest.mark.usefixtures("operator")
def test_a_missing_secret_is_named_and_its_token_used_once_it_is_there(
    servings: Servings, hub: LoopbackHub, operator: OperatorProcess
) -> None:
    hub.repositories[MODEL].gated_for = "hf_the_secret_token"
    servings.create("gated", MODEL, huggingFace={"tokenSecretRef": {"name": "hub", "key": "token"}})
    message = servings.wait("gated", "Planned", "SecretNotFound")
    assert "kubectl create secret generic hub" in message
    secret = {"metadata": {"name": "hub"}, "stringData": {"token": "hf_the_secret_token"}}
    servings.cluster.request("POST", f"/api/v1/namespaces/{servings.namespace}/secrets", secret)
    servings.wait_ready("gated")
    assert "hf_the_secret_token" not in operator.said()
    assert "hf_the_secret_token" not in str(servings.get("gated"))


def test_facts_in_the_cluster_that_cannot_be_read_are_asked_for_anew(
    installation: Installation, servings: Servings, hub: LoopbackHub, local_cluster: LocalCluster
) -> None:
    forget_facts(local_cluster)
    with OperatorProcess(installation, settings=settings(hub)) as first:
        first.wait_ready()
        servings.create("first", MODEL)
        servings.wait_ready("first")
    for name in stored_facts(local_cluster):
        broken = {"data": {"metadata": "no such thing"}}
        local_cluster.request("PATCH", f"{FACTS}/{name}", broken, "application/merge-patch+json")
    hub.seen.clear()
    with OperatorProcess(installation, settings=settings(hub)) as second:
        second.wait_ready()
        servings.create("second", MODEL)
        servings.wait_ready("second")
    assert len(hub.asked(DESCRIPTION)) == 1
    assert Path(first.log).exists()
