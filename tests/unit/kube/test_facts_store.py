"""Names of the ConfigMaps that hold facts, and what does not go into one."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from modelserving.errors import NotFoundError
from modelserving.hub.cache import CachedMetadata
from modelserving.kube.client import KubeClient
from modelserving.kube.facts_store import FactsStore, config_map_name
from modelserving.models.metadata import CheckpointRef, ModelMetadata, Origin

REF = CheckpointRef("org/model")


class Several:
    """Holds ConfigMaps of the operator's namespace; a real API server is in tests/cluster/test_operator_hub.py."""

    def __init__(self, *made: tuple[str, str]) -> None:
        self.manifests = [
            {
                "metadata": {
                    "name": config_map_name(CheckpointRef(model)),
                    "uid": f"uid-{model}",
                    "creationTimestamp": time,
                    "annotations": {"modelserving.dev/model": model, "modelserving.dev/revision": "main"},
                }
            }
            for model, time in made
        ]
        self.deleted: list[str] = []

    async def listed(self, _: object, keep: Any, selector: str, namespace: str) -> tuple[list[Any], int]:
        assert (selector.count("="), namespace) == (2, "system")
        return [keep(manifest) for manifest in self.manifests], 1

    async def delete(self, _: object, namespace: str, name: str, uid: str) -> None:
        self.deleted.append(uid)


async def test_facts_that_no_resource_names_are_dropped_after_a_day() -> None:
    long_ago, just_now = "2026-01-01T00:00:00Z", datetime.now(UTC).isoformat()
    held = Several(("a/used", long_ago), ("a/unused", long_ago), ("a/new", just_now), ("a/odd", "yesterday"))
    store = FactsStore(cast(KubeClient, held), "system")
    assert await store.drop_unused(frozenset({CheckpointRef("a/used")})) == 1
    assert held.deleted == ["uid-a/unused"]


class Kept:
    """Holds one ConfigMap; a real one is in tests/cluster/test_operator_hub.py."""

    def __init__(self) -> None:
        self.manifest: dict[str, Any] | None = None

    async def get(self, *_: object) -> dict[str, Any]:
        if self.manifest is None:
            raise NotFoundError("none", 404)
        return self.manifest

    async def apply(self, manifest: dict[str, Any]) -> None:
        self.manifest = manifest


def entry(config: dict[str, Any]) -> CachedMetadata:
    return CachedMetadata(ModelMetadata("org/model", "c" * 40, Origin.HUB, config), 1.0)


async def test_what_is_kept_is_found_again() -> None:
    store = FactsStore(cast(KubeClient, Kept()), "system")
    assert await store.get(REF) is None
    await store.put(REF, entry({"hidden_size": 64}))
    assert await store.get(REF) == entry({"hidden_size": 64})


async def test_what_is_too_large_for_a_config_map_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    noise = {str(number): f"{hash((number, 'x')):x}" for number in range(90_000)}
    await FactsStore(cast(KubeClient, kept), "system").put(REF, entry(noise))
    assert kept.manifest is None
    assert "not kept" in caplog.text


@pytest.mark.parametrize("data", [None, {}, {"metadata": "garbage"}, {"metadata": 3}])
async def test_what_cannot_be_read_counts_as_absent(data: object) -> None:
    kept = Kept()
    kept.manifest = {"data": data}
    assert await FactsStore(cast(KubeClient, kept), "system").get(REF) is None


def test_names_fit_and_differ_by_model_and_revision() -> None:
    refs = [REF, CheckpointRef("org/model", "v2"), CheckpointRef("org/" + "m" * 96, "r" * 255)]
    names = {config_map_name(ref) for ref in refs}
    assert len(names) == 3
    assert all(len(name) <= 63 for name in names)
