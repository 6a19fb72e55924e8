"""The catalogue, made from a Hub (a server on loopback: huggingface.co cannot be reached here)."""

import pytest

from hub.checkpoints import ALL, CONFIG, PARAMETERS
from hub.loopback_hub import LoopbackHub, safetensors_file
from modelserving.errors import InputError
from modelserving.hub.catalogue import CatalogueEntry, parse
from modelserving.hub.client import HubClient
from modelserving.hub.refresh import refresh_catalogue


async def test_a_catalogue_holds_what_the_hub_says_and_sizing_needs(hub: LoopbackHub, client: HubClient) -> None:
    nested = CONFIG | {"vision_config": {"hidden_size": 8, "initializer_range": 0.02}}
    commit = hub.add("org/stated", nested, totals={"BF16": 7}).commit
    hub.add("org/counted", CONFIG, {"model.safetensors": safetensors_file(ALL)})
    text, kept = await refresh_catalogue(["org/stated", "org/counted"], client)
    entries = {entry.model: entry for entry in parse(text)}
    assert kept == ()
    assert entries["org/stated"].parameter_totals == {"BF16": 7}
    assert entries["org/counted"].parameter_totals == {"BF16": PARAMETERS}
    assert entries["org/stated"].commit == commit
    assert entries["org/stated"].config["vision_config"] == {"hidden_size": 8}
    assert CONFIG.keys() - entries["org/counted"].config.keys() == {"transformers_version", "eos_token_id"}
    assert "org/stated" in entries["org/stated"].source


async def test_nothing_is_written_when_one_is_missing_and_all_missing_are_named(
    hub: LoopbackHub, client: HubClient
) -> None:
    hub.add("org/tiny", CONFIG)
    with pytest.raises(InputError, match=r"org/gone: ModelNotFound: .*org/lost: ModelNotFound"):
        await refresh_catalogue(["org/gone", "org/tiny", "org/lost"], client)


async def test_an_entry_can_stand_in_for_a_model_that_cannot_be_read(hub: LoopbackHub, client: HubClient) -> None:
    hub.add("org/tiny", CONFIG)
    old = CatalogueEntry("org/gone", CONFIG, {"BF16": 1}, "an earlier catalogue")
    text, kept = await refresh_catalogue(["org/gone", "org/tiny"], client, kept={"org/gone": old})
    assert [entry.model for entry in parse(text)] == ["org/gone", "org/tiny"]
    assert parse(text)[0] == old
    assert len(kept) == 1
    assert kept[0].startswith("org/gone: ModelNotFound")
    with pytest.raises(InputError, match="org/lost"):
        await refresh_catalogue(["org/lost"], client, kept={"org/gone": old})
