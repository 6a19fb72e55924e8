"""What the client reads from a Hub, what it leaves alone, and what it tells others.

The client, huggingface_hub and HTTP are real; the Hub is a server on loopback, as huggingface.co cannot be reached here.
"""

import json
import logging
from pathlib import Path

import pytest
from aiohttp import web
from huggingface_hub import close_session, constants

from hub.checkpoints import ALL, CONFIG, ENDS, LAYERS, PARAMETERS, TINY, layer, shards
from hub.conftest import MakeClient
from hub.loopback_hub import LoopbackHub, always, running_hub, safetensors_file
from modelserving.hub.client import HubClient
from modelserving.models.headers import parameters_by_dtype
from modelserving.models.metadata import CheckpointRef, ModelMetadata, Origin, TensorGroup


async def read(client: HubClient, ref: CheckpointRef = TINY, token: str | None = None) -> ModelMetadata:
    answer = await client.fetch(ref, token)
    assert isinstance(answer, ModelMetadata), answer
    return answer


async def test_a_checkpoint_is_read_at_the_commit_of_its_branch(hub: LoopbackHub, client: HubClient) -> None:
    quantization = {"producer": {"name": "modelopt"}}
    files = {"model.safetensors": safetensors_file(ALL), "hf_quant_config.json": json.dumps(quantization).encode()}
    repository = hub.add("org/tiny", CONFIG, files, totals={"BF16": PARAMETERS})
    metadata = await read(client)
    assert (metadata.model, metadata.revision, metadata.origin) == ("org/tiny", repository.commit, Origin.HUB)
    assert metadata.config == CONFIG
    assert metadata.quantization_files == {"hf_quant_config.json": quantization}
    assert metadata.parameter_totals == {"BF16": PARAMETERS}
    assert not metadata.restricted
    assert parameters_by_dtype(metadata.tensors) == {"BF16": PARAMETERS}
    up = "model.layers.*.mlp.up_proj.weight"
    assert TensorGroup(up, (128, 64), "BF16", LAYERS, tuple(range(LAYERS))) in metadata.tensors


async def test_every_file_is_asked_for_at_the_commit(hub: LoopbackHub, client: HubClient) -> None:
    repository = hub.add("org/tiny", CONFIG, {"model.safetensors": safetensors_file(ALL)})
    await read(client)
    assert [seen.path for seen in hub.seen] == [
        "/api/models/org/tiny/revision/main",
        f"/org/tiny/resolve/{repository.commit}/config.json",
        f"/org/tiny/resolve/{repository.commit}/model.safetensors",
    ]


async def test_shards_and_one_file_fold_to_the_same(hub: LoopbackHub, client: HubClient) -> None:
    hub.add("org/tiny", CONFIG, shards())
    hub.add("org/whole", CONFIG, {"model.safetensors": safetensors_file(ALL)})
    sharded, whole = (await read(client)).tensors, (await read(client, CheckpointRef("org/whole"))).tensors
    assert sorted(sharded, key=repr) == sorted(whole, key=repr)


async def test_files_that_vllm_does_not_load_are_not_read(hub: LoopbackHub, client: HubClient) -> None:
    other = safetensors_file(ENDS)
    files = shards() | dict.fromkeys(
        ("consolidated.safetensors", "original/model.safetensors", "adapter_model.safetensors", "model.pth"), other
    )
    hub.add("org/tiny", CONFIG, files)
    metadata = await read(client)
    assert parameters_by_dtype(metadata.tensors) == {"BF16": PARAMETERS}
    read_files = {seen.path.rpartition("/")[2] for seen in hub.seen}
    assert read_files == {"main", "config.json", *shards()}


async def test_a_second_copy_is_left_out_where_the_index_does_not_name_it(hub: LoopbackHub, client: HubClient) -> None:
    index = {"weight_map": dict.fromkeys(layer(0), "model-00001-of-00002.safetensors")}
    index["weight_map"] |= dict.fromkeys(layer(2), "model-00002-of-00002.safetensors")
    files = shards() | {"model.safetensors": safetensors_file(ALL)}
    hub.add("org/tiny", CONFIG, files | {"model.safetensors.index.json": json.dumps(index).encode()})
    metadata = await read(client)
    assert parameters_by_dtype(metadata.tensors) == {"BF16": PARAMETERS}
    assert not hub.asked("/model.safetensors")


async def test_weights_are_never_downloaded(hub: LoopbackHub, client: HubClient) -> None:
    wide = safetensors_file({"model.embed_tokens.weight": ("float32", (4096, 1024))})
    hub.add("org/tiny", CONFIG, {"model.safetensors": wide})
    await read(client)
    assert len(wide) > 16_000_000
    # huggingface_hub reads the first 100,001 bytes of a file, where nearly every header ends.
    assert hub.body_bytes <= 100_001 + len(hub.repositories["org/tiny"].files["config.json"])


async def test_a_header_longer_than_the_first_read_is_read_whole(hub: LoopbackHub, client: HubClient) -> None:
    many = {f"model.layers.{index}.some.rather.long.name.weight": ("bfloat16", (1,)) for index in range(2_000)}
    content = safetensors_file(many)
    hub.add("org/tiny", CONFIG, {"model.safetensors": content})
    metadata = await read(client)
    assert len(content) > 150_000
    assert [group.count for group in metadata.tensors] == [2_000]
    assert len(hub.asked("/model.safetensors")) == 2


async def test_a_mirror_that_ignores_ranges_is_read_no_further_than_asked(hub: LoopbackHub, client: HubClient) -> None:
    hub.ignores_ranges = True
    wide = safetensors_file({"model.embed_tokens.weight": ("float32", (4096, 1024))})
    hub.add("org/tiny", CONFIG, {"model.safetensors": wide})
    assert parameters_by_dtype((await read(client)).tensors) == {"F32": 4096 * 1024}


async def test_redirects_to_the_hub_s_own_cache_are_followed(hub: LoopbackHub, client: HubClient) -> None:
    repository = hub.add("org/tiny", CONFIG)
    where = f"/cache/org/tiny/resolve/{repository.commit}/other.json"

    async def redirect(_: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(where)

    hub.fail("/config.json", redirect)
    hub.fail("/other.json", always(body=json.dumps(CONFIG).encode()))
    assert (await read(client)).config == CONFIG


async def test_a_tag_or_commit_is_asked_for_by_its_name(hub: LoopbackHub, client: HubClient) -> None:
    repository = hub.add("org/tiny", CONFIG)
    metadata = await read(client, CheckpointRef("org/tiny", repository.commit))
    assert metadata.revision == repository.commit
    assert hub.seen[0].path == f"/api/models/org/tiny/revision/{repository.commit}"


async def test_a_checkpoint_without_safetensors_has_no_inventory(hub: LoopbackHub, client: HubClient) -> None:
    hub.add("org/tiny", CONFIG, {"pytorch_model.bin": b"\0" * 100})
    metadata = await read(client)
    assert (metadata.tensors, metadata.parameter_totals) == ((), {})


@pytest.mark.parametrize("totals", [{"BF16": -1}, {"BF16": "many"}, {"BF16": True}, ["BF16"]], ids=str)
async def test_totals_that_are_no_counts_are_dropped(hub: LoopbackHub, client: HubClient, totals: object) -> None:
    hub.add("org/tiny", CONFIG, extra={"safetensors": {"parameters": totals, "total": 1}})
    assert (await read(client)).parameter_totals == {}


async def test_a_gated_model_is_read_with_its_token_and_marked(hub: LoopbackHub, client: HubClient) -> None:
    hub.add("org/tiny", CONFIG, gated_for="hf_secret")
    metadata = await read(client, token=" hf_secret\n")
    assert metadata.restricted
    assert {seen.headers.get("Authorization") for seen in hub.seen} == {"Bearer hf_secret"}


async def test_a_token_found_on_the_machine_is_nobody_s(
    hub: LoopbackHub, client: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    hub.add("org/tiny", CONFIG, {"model.safetensors": safetensors_file(ALL)})
    await read(client)
    assert not any("Authorization" in seen.headers for seen in hub.seen)


async def test_a_token_does_not_follow_a_redirect_to_another_host(hub: LoopbackHub, client: HubClient) -> None:
    async with running_hub() as elsewhere:
        elsewhere.fail("/stored", always(body=json.dumps(CONFIG).encode()))
        hub.add("org/tiny", CONFIG)

        async def redirect(_: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(f"{elsewhere.endpoint}/stored")

        hub.fail("/config.json", redirect)
        await read(client, token="hf_secret")
        assert "Authorization" in hub.asked("/config.json")[0].headers
        assert "Authorization" not in elsewhere.seen[0].headers


async def test_a_token_reaches_no_log(
    hub: LoopbackHub, client: HubClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("huggingface_hub", "httpx2", "httpcore2"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
    hub.add("org/tiny", CONFIG)
    await read(client, token="hf_secret")
    assert caplog.records
    assert "hf_secret" not in caplog.text


async def test_addresses_of_requests_are_not_logged(
    hub: LoopbackHub, client: HubClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    hub.add("org/tiny", CONFIG)
    await read(client)
    assert "/resolve/" not in caplog.text


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_of_the_environment_does_not_divert_loopback(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, make_client: MakeClient, name: str
) -> None:
    # Nobody listens on the discard port: whatever goes through this proxy fails.
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    close_session()
    hub.add("org/tiny", CONFIG)
    assert (await read(make_client())).config == CONFIG


async def test_the_client_says_who_it_is_and_nothing_else(
    hub: LoopbackHub, client: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A variable by which huggingface_hub knows in whose hands it is; it would ask huggingface.co what to tell.
    monkeypatch.setenv("AI_AGENT", "somebody")
    hub.add("org/tiny", CONFIG, {"model.safetensors": safetensors_file(ALL)})
    await read(client)
    agents = {seen.headers["User-Agent"] for seen in hub.seen}
    assert all(agent.startswith("modelserving-operator/") and "agent/" not in agent for agent in agents)


async def test_nothing_is_written_to_disk(
    hub: LoopbackHub, client: HubClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_XET_CACHE", "HF_TOKEN_PATH", "AGENT_HARNESSES_PATH"):
        monkeypatch.setattr(constants, name, str(tmp_path / name))
    hub.add("org/tiny", CONFIG, shards())
    await read(client)
    assert list(tmp_path.iterdir()) == []
