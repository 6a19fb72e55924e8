"""What a Hub can do wrong, and what the user is told.

The client, huggingface_hub and HTTP are real; the Hub is a server on loopback, as huggingface.co cannot be reached here.
"""

import gzip
import json
import struct

import pytest
from aiohttp import web

from hub.checkpoints import ALL, CONFIG
from hub.conftest import MakeClient, failing
from hub.loopback_hub import Answer, LoopbackHub, always, refusal, safetensors_file
from modelserving.hub.client import HubClient
from modelserving.models.metadata import CheckpointRef

API = "/revision/main"
WEIGHTS = "/model.safetensors"
HTML = b"<!DOCTYPE html><html><body>Please log in to the guest network</body></html>"


def redirect_to(path: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(path)

    return answer


def described(**fields: object) -> Answer:
    siblings = [{"rfilename": "config.json"}]
    body = {"id": "org/tiny", "sha": "0" * 40, "siblings": siblings} | fields
    return always(body=json.dumps(body).encode())


def header(content: object) -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text


def tensor(**fields: object) -> bytes:
    return header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | fields})


# Sentence -> path that fails, its answer, reason, whether asking again may help, what the message must say.
FAULTS: dict[str, tuple[str, Answer, str, bool, str]] = {
    "the model does not exist": (
        API,
        refusal(404, "RepoNotFound"),
        "ModelNotFound",
        False,
        "no model org/tiny: check the name",
    ),
    "an anonymous client is told 401 for what does not exist": (
        API,
        refusal(401, "RepoNotFound"),
        "ModelNotFound",
        False,
        "private",
    ),
    "a mirror says 404 and no more": (API, refusal(404), "ModelNotFound", False, "tokenSecretRef"),
    "the revision does not exist": (API, refusal(404, "RevisionNotFound"), "RevisionNotFound", False, "'main'"),
    "the model is gated and no token came": (
        "/config.json",
        refusal(401, "GatedRepo"),
        "AccessDenied",
        False,
        "name a Secret",
    ),
    "a mirror wants credentials": (API, refusal(401), "AccessDenied", False, "spec.huggingFace.tokenSecretRef"),
    "access is forbidden": (API, refusal(403), "AccessDenied", False, "spec.huggingFace.tokenSecretRef"),
    "the Hub disabled the model": (
        API,
        refusal(403, headers={"X-Error-Message": "Access to this resource is disabled."}),
        "AccessDenied",
        False,
        "disabled",
    ),
    "a file is listed and then gone": (
        "/config.json",
        refusal(404, "EntryNotFound"),
        "HubAnswerInvalid",
        True,
        "config.json",
    ),
    "the Hub does not understand the request": (API, refusal(400), "HubAnswerInvalid", True, "status 400"),
    "the Hub answers HTML": (API, always(body=HTML, content_type="text/html"), "HubAnswerInvalid", True, "HTML"),
    "the description is cut off": (
        API,
        always(body=b'{"id": "org/tiny", "sha"'),
        "HubAnswerInvalid",
        True,
        "description",
    ),
    "the description is a list": (API, always(body=b"[]"), "HubAnswerInvalid", True, "description"),
    "the description is empty": (API, always(body=b""), "HubAnswerInvalid", True, "description"),
    "the description nests without end": (API, always(body=b"[" * 100_000), "HubAnswerInvalid", True, "description"),
    "the description is not UTF-8": (API, always(body=b"\xff\xfe\xff"), "HubAnswerInvalid", True, "description"),
    "the description names no commit": (API, described(sha=None), "HubAnswerInvalid", True, "no commit"),
    "the commit is no commit": (API, described(sha="main"), "HubAnswerInvalid", True, "no commit"),
    "the files are a number": (API, described(siblings=7), "HubAnswerInvalid", True, "description"),
    "the files are not named": (
        API,
        described(siblings=[{"name": "config.json"}]),
        "HubAnswerInvalid",
        True,
        "description",
    ),
    "there is no config.json": (API, described(siblings=[]), "MetadataInvalid", False, "has no config.json"),
    "the names of files are numbers": (
        API,
        described(siblings=[{"rfilename": 1}]),
        "MetadataInvalid",
        False,
        "has no config.json",
    ),
    "it is an adapter": (
        API,
        described(siblings=[{"rfilename": "adapter_config.json"}]),
        "MetadataInvalid",
        False,
        "LoRA adapter",
    ),
    "the description is endless": (API, always(body=b" " * (17 * 2**20)), "HubAnswerInvalid", True, "longer than"),
    "it redirects in a circle": (API, redirect_to(f"/api/models/org/tiny{API}"), "HubAnswerInvalid", True, "circle"),
    "it redirects to no web address": (
        API,
        redirect_to("ftp://127.0.0.1/x"),
        "HubAnswerInvalid",
        True,
        "HTTP protocol",
    ),
    "it answers in gzip unasked": (
        API,
        always(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"}),
        "HubAnswerInvalid",
        True,
        "compressed",
    ),
    "config.json is HTML": ("/config.json", always(body=HTML), "HubAnswerInvalid", True, "config.json of org/tiny"),
    "config.json is cut off": ("/config.json", always(body=b'{"a": 1'), "HubAnswerInvalid", False, "no JSON"),
    "config.json is a list": ("/config.json", always(body=b"[1]"), "HubAnswerInvalid", False, "array, not an object"),
    "config.json holds NaN": ("/config.json", always(body=b'{"a": NaN}'), "HubAnswerInvalid", False, "NaN"),
    "config.json names a key twice": (
        "/config.json",
        always(body=b'{"a": 1, "a": 2}'),
        "HubAnswerInvalid",
        False,
        "'a' twice",
    ),
    "config.json is longer than any": (
        "/config.json",
        always(body=b" " * (5 * 2**20)),
        "HubAnswerInvalid",
        True,
        "longer than",
    ),
    "the weights are HTML": (WEIGHTS, always(body=HTML), "HubAnswerInvalid", False, "model.safetensors"),
    "the weights are empty": (WEIGHTS, always(206, b""), "HubAnswerInvalid", False, "no safetensors header"),
    "the header says it is huge": (
        WEIGHTS,
        always(206, struct.pack("<Q", 2**60)),
        "HubAnswerInvalid",
        False,
        "no safetensors header",
    ),
    "the header is a list": (WEIGHTS, always(206, header([1])), "HubAnswerInvalid", True, "model.safetensors"),
    "the header is cut off": (
        WEIGHTS,
        always(206, header(b'{"a": ')),
        "HubAnswerInvalid",
        False,
        "no safetensors header",
    ),
    "a tensor has no dtype": (
        WEIGHTS,
        always(206, header({"a": {}})),
        "HubAnswerInvalid",
        False,
        "no safetensors header",
    ),
    "a dtype is a number": (WEIGHTS, always(206, tensor(dtype=3)), "HubAnswerInvalid", False, "sensible shape"),
    "a side is negative": (WEIGHTS, always(206, tensor(shape=[2, -1])), "HubAnswerInvalid", False, "sensible shape"),
    "a side is a fraction": (WEIGHTS, always(206, tensor(shape=[1.5])), "HubAnswerInvalid", False, "sensible shape"),
    "a side is absurd": (WEIGHTS, always(206, tensor(shape=[2**60])), "HubAnswerInvalid", False, "sensible shape"),
    "a shape is a text": (WEIGHTS, always(206, tensor(shape="big")), "HubAnswerInvalid", False, "sensible shape"),
    "a long header comes whole where a part was asked for": (
        WEIGHTS,
        always(200, header({f"tensor {number}": {} for number in range(20_000)})),
        "HubAnswerInvalid",
        True,
        "ignores range requests",
    ),
}


@pytest.mark.parametrize("sentence", FAULTS)
async def test_a_fault_becomes_a_failure_that_says_what_to_do(
    hub: LoopbackHub, client: HubClient, sentence: str
) -> None:
    path, answer, reason, retryable, said = FAULTS[sentence]
    hub.add("org/tiny", CONFIG, {"model.safetensors": safetensors_file(ALL)})
    hub.fail(path, answer)
    failure = await failing(client)
    assert (failure.reason, failure.retryable) == (reason, retryable), failure
    assert said in failure.message


async def test_a_token_without_access_is_told_from_no_token(hub: LoopbackHub, client: HubClient) -> None:
    hub.add("org/tiny", CONFIG, gated_for="hf_other")
    with_token, without = await failing(client, token="hf_secret"), await failing(client)
    assert with_token.reason == without.reason == "AccessDenied"
    assert "may not read it: accept its conditions" in with_token.message
    assert "name a Secret with a token" in without.message
    assert "hf_secret" not in with_token.message


async def test_a_missing_model_asked_for_with_a_token_may_be_private(hub: LoopbackHub, client: HubClient) -> None:
    failure = await failing(client, token="hf_secret")
    assert failure.reason == "ModelNotFound"
    assert "the token in spec.huggingFace.tokenSecretRef may not read it" in failure.message


@pytest.mark.parametrize("token", ["two words", "line\nfeed", "schlüssel"])
async def test_a_secret_that_holds_no_token_is_refused_unsent(hub: LoopbackHub, client: HubClient, token: str) -> None:
    hub.add("org/tiny", CONFIG)
    failure = await failing(client, token=token)
    assert (failure.reason, failure.retryable, hub.seen) == ("AccessDenied", False, [])
    assert token not in failure.message


@pytest.mark.parametrize(
    "model",
    ["", "two words", "../../etc/passwd", "/models/llama", "a/b/c", "x" * 300, "org/naïve", "a--b", "org/m?x=1"],
)
async def test_a_name_that_cannot_be_is_refused_unsent(hub: LoopbackHub, client: HubClient, model: str) -> None:
    failure = await failing(client, CheckpointRef(model))
    assert (failure.reason, failure.retryable, hub.seen) == ("InvalidModelName", False, [])
    assert len(failure.message) < 400


async def test_credentials_in_the_endpoint_are_not_shown(hub: LoopbackHub, make_client: MakeClient) -> None:
    endpoint = hub.endpoint.replace("http://", "http://user:password@")
    failure = await failing(make_client(endpoint))
    assert hub.endpoint in failure.message
    assert "password" not in failure.message


async def test_offline_mode_of_the_library_is_named(
    hub: LoopbackHub, client: HubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    failure = await failing(client)
    assert (failure.reason, hub.seen) == ("HubUnreachable", [])
    assert "HF_HUB_OFFLINE" in failure.message
