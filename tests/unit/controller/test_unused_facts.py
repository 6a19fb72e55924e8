"""Which checkpoints' facts are still needed: of all that any resource names, however wrong its spec is."""

from loop_cases import Loop
from modelserving.controller.unused_facts import UnusedFacts
from modelserving.models.metadata import CheckpointRef


class Asked:
    """A store that remembers what it was told is used."""

    def __init__(self) -> None:
        self.used: frozenset[CheckpointRef] = frozenset()

    async def drop_unused(self, used: frozenset[CheckpointRef]) -> int:
        self.used = used
        return 0


async def test_models_and_variants_of_every_resource_are_used() -> None:
    loop, store = Loop(), Asked()
    loop.create("plain")
    loop.create("with", model="a/b", revision="v2", variants=[{"precision": "int4", "model": "a/b-AWQ"}])
    loop.create("wrong", model="c/d", concurrency="many", variants=["nonsense", {"model": 3}])
    await UnusedFacts(loop.cache, store).drop()
    assert store.used == {
        CheckpointRef("Qwen/Qwen2.5-0.5B-Instruct"),
        CheckpointRef("a/b", "v2"),
        CheckpointRef("a/b-AWQ"),
        CheckpointRef("c/d"),
    }
