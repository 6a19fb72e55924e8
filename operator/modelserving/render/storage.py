"""Volumes of the engine: the cache of weights and kernels, and shared memory."""

from dataclasses import dataclass
from typing import Any

from modelserving.api.modelserving import CacheSpec
from modelserving.api.reasons import Reason
from modelserving.api.volume_types import CACHE_PATH, CACHE_VOLUME, SHM_PATH, SHM_VOLUME
from modelserving.planning.pod_needs import CACHE_HEADROOM_BYTES
from modelserving.render.problem import RenderProblem
from modelserving.units import GIB, MIB, format_gib, memory_quantity, parse_whole

# vLLM 0.32 refuses a start with less than it needs (distributed/device_communicators/shm_broadcast.py, check_shm_free_space): 160 MiB for
# the queue to the workers, 240 MiB for the answers of each, 160 MiB for each tensor-parallel group; NCCL takes tens of MiB more.
# It is touched lazily: this is a bound, not a reservation.
SMALLEST_SHM_BYTES = 2 * GIB
SHM_BASE_BYTES = GIB
SHM_BYTES_PER_GPU = 512 * MIB


@dataclass(frozen=True, slots=True)
class Storage:
    """Where weights and shared memory live.

    Attributes:
        volumes: of the pod.
        ephemeral_bytes: disk of the node that the cache needs; 0 where it lies elsewhere.
        on_node_path: whether the cache is a folder of the node, which no fsGroup makes writable.
    """

    volumes: list[dict[str, Any]]
    ephemeral_bytes: int
    on_node_path: bool


def storage(cache: CacheSpec, checkpoint_bytes: int, gpus: int, allow_host_path: bool) -> Storage | RenderProblem:
    """Choose the volumes of a replica."""
    shm = {"name": SHM_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": memory_quantity(shm_bytes(gpus))}}
    if cache.persistent_volume_claim is not None:
        claim = {"claimName": cache.persistent_volume_claim.claim_name}
        return Storage([{"name": CACHE_VOLUME, "persistentVolumeClaim": claim}, shm], 0, False)
    if cache.host_path is not None:
        if not allow_host_path:
            return RenderProblem(
                Reason.NOT_ALLOWED,
                "spec.cache.hostPath: this operator's settings do not allow folders of the node (MODELSERVING_ALLOW_HOST_PATH); "
                "use spec.cache.persistentVolumeClaim or spec.cache.emptyDir.",
            )
        folder = {"path": cache.host_path.path, "type": "DirectoryOrCreate"}
        return Storage([{"name": CACHE_VOLUME, "hostPath": folder}, shm], 0, True)
    return _empty_dir(cache, checkpoint_bytes, shm)


def mounts() -> list[dict[str, Any]]:
    """Where these volumes are mounted in the engine's container."""
    return [{"name": CACHE_VOLUME, "mountPath": CACHE_PATH}, {"name": SHM_VOLUME, "mountPath": SHM_PATH}]


def shm_bytes(gpus: int) -> int:
    """Bound of /dev/shm for the GPUs of one pod."""
    return max(SMALLEST_SHM_BYTES, SHM_BASE_BYTES + gpus * SHM_BYTES_PER_GPU)


def _empty_dir(cache: CacheSpec, checkpoint_bytes: int, shm: dict[str, Any]) -> Storage | RenderProblem:
    needed = checkpoint_bytes + CACHE_HEADROOM_BYTES
    limit = max(2 * checkpoint_bytes, needed)
    written = cache.empty_dir.size_limit if cache.empty_dir is not None else None
    if written is not None:
        limit = parse_whole(written)
        if limit < checkpoint_bytes:
            return RenderProblem(
                Reason.INVALID_SPEC,
                f"spec.cache.emptyDir.sizeLimit: {written} is less than the {format_gib(checkpoint_bytes)} of the checkpoint; "
                f"the pod would be evicted while it downloads. Write at least {memory_quantity(needed)}, or leave it out.",
            )
    volume = {"name": CACHE_VOLUME, "emptyDir": {"sizeLimit": written or memory_quantity(limit)}}
    return Storage([volume, shm], min(needed, limit), False)
