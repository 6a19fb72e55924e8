import pytest

from modelserving.api.modelserving import CacheSpec
from modelserving.render.problem import RenderProblem
from modelserving.render.storage import Storage, mounts, shm_bytes, storage
from modelserving.units import GIB

CHECKPOINT = 136 * GIB


def _storage(cache: dict[str, object], checkpoint: int = CHECKPOINT, allow: bool = False) -> Storage | RenderProblem:
    return storage(CacheSpec.model_validate(cache), checkpoint, 4, allow)


SIZES = {
    "a large checkpoint": (CHECKPOINT, "272Gi", 146),
    "a small one": (GIB, "11Gi", 11),
    "nothing known": (0, "10Gi", 10),
}


@pytest.mark.parametrize(("checkpoint", "limit", "asked"), SIZES.values(), ids=SIZES)
def test_without_a_wish_the_cache_lives_with_the_pod(checkpoint: int, limit: str, asked: int) -> None:
    stored = _storage({}, checkpoint)
    assert isinstance(stored, Storage)
    assert stored.volumes[0] == {"name": "cache", "emptyDir": {"sizeLimit": limit}}
    assert stored.ephemeral_bytes == asked * GIB
    assert not stored.on_node_path


def test_the_users_limit_is_kept_and_bounds_what_is_asked_of_the_node() -> None:
    stored = _storage({"emptyDir": {"sizeLimit": "140Gi"}})
    assert isinstance(stored, Storage)
    assert stored.volumes[0]["emptyDir"] == {"sizeLimit": "140Gi"}
    assert stored.ephemeral_bytes == 140 * GIB


def test_a_limit_below_the_checkpoint_is_refused_with_the_size_to_write() -> None:
    problem = _storage({"emptyDir": {"sizeLimit": "100Gi"}})
    assert isinstance(problem, RenderProblem)
    assert problem.reason == "InvalidSpec"
    assert "spec.cache.emptyDir.sizeLimit: 100Gi is less than the 136.0 GiB of the checkpoint" in problem.message
    assert "at least 146Gi" in problem.message


def test_a_claim_is_mounted_and_takes_no_disk_of_the_node() -> None:
    stored = _storage({"persistentVolumeClaim": {"claimName": "weights"}})
    assert isinstance(stored, Storage)
    assert stored.volumes[0] == {"name": "cache", "persistentVolumeClaim": {"claimName": "weights"}}
    assert stored.ephemeral_bytes == 0


def test_a_folder_of_the_node_needs_the_operators_leave() -> None:
    problem = _storage({"hostPath": {"path": "/models"}})
    assert isinstance(problem, RenderProblem)
    assert problem.reason == "NotAllowedBySettings"
    stored = _storage({"hostPath": {"path": "/models"}}, allow=True)
    assert isinstance(stored, Storage)
    assert stored.volumes[0] == {"name": "cache", "hostPath": {"path": "/models", "type": "DirectoryOrCreate"}}
    assert stored.on_node_path


@pytest.mark.parametrize(("gpus", "gibibytes"), [(1, 2), (2, 2), (4, 3), (8, 5)])
def test_shared_memory_grows_with_the_workers(gpus: int, gibibytes: int) -> None:
    assert shm_bytes(gpus) == gibibytes * GIB
    # vLLM's own demand for one group of workers: 160 MiB + 240 MiB each + 160 MiB.
    assert shm_bytes(gpus) > (320 + 240 * gpus) * 2**20


def test_both_volumes_are_mounted() -> None:
    stored = _storage({})
    assert isinstance(stored, Storage)
    assert [volume["name"] for volume in stored.volumes] == [mount["name"] for mount in mounts()]
    assert stored.volumes[1] == {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": "3Gi"}}
