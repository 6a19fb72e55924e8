"""What a pod of a plan asks of its node and of its namespace's quotas, as `render` writes it into the pod."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from modelserving.api.modelserving import CacheSpec, PodSpec
from modelserving.cluster.room import PodNeed
from modelserving.planning.layouts import Layout
from modelserving.units import GIB, QuantityError, parse_millis, parse_whole

# One CPU for each GPU's worker, which polls, and one for each engine's scheduler and API server: the least that does not starve them.
CPUS_AN_ENGINE = 1
MILLIS = 1000
# Beside the weights: torch.compile, Triton and FlashInfer caches, tokenizer, chunks of a download under way.
CACHE_HEADROOM_BYTES = 10 * GIB


def default_cpus(gpus: int, engines: int) -> int:
    """CPUs a pod asks for where its spec names no other number."""
    return CPUS_AN_ENGINE * engines + gpus


_READERS: Mapping[str, Callable[[Any], int]] = {
    "cpu": parse_millis,
    "memory": parse_whole,
    "ephemeral-storage": parse_whole,
}


@dataclass(frozen=True, slots=True)
class PodAsked:
    """What a spec says of its pods beside their GPUs.

    Attributes:
        requests: (resource, millicores or bytes) that take the place of the plan's.
        limits: the same of limits.
        on_node: whether weights are kept on the node's own disk.
        disk_limit: most bytes they may take there; None where nothing is said.
        priority_class: of the pods.
    """

    requests: tuple[tuple[str, int], ...] = ()
    limits: tuple[tuple[str, int], ...] = ()
    on_node: bool = True
    disk_limit: int | None = None
    priority_class: str = ""

    def need(self, layout: Layout, host_memory_bytes: int, checkpoint_bytes: int) -> PodNeed:
        """What a pod asks of each node of its replica."""
        requests, limits, gpus = dict(self.requests), dict(self.limits), layout.gpus_per_node
        cpu = default_cpus(gpus, layout.data_parallel_size) * MILLIS
        return PodNeed(
            gpus,
            requests.get("cpu", min(cpu, limits.get("cpu", cpu))),
            requests.get("memory", host_memory_bytes),
            requests.get("ephemeral-storage", self._disk(checkpoint_bytes)),
        )

    @property
    def stated_limits(self) -> PodNeed:
        """Limits as far as any are stated."""
        limits = dict(self.limits)
        return PodNeed(0, limits.get("cpu", 0), limits.get("memory", 0), limits.get("ephemeral-storage", 0))

    def _disk(self, checkpoint_bytes: int) -> int:
        if not self.on_node:
            return 0
        needed = checkpoint_bytes + CACHE_HEADROOM_BYTES
        return needed if self.disk_limit is None else min(needed, self.disk_limit)


NOTHING_STATED = PodAsked()


def pod_asked(pod: PodSpec, cache: CacheSpec) -> PodAsked:
    """Read it from a spec. What is no quantity is left out here, and refused by its name where the pod is rendered."""
    resources = pod.resources or {}
    limit = cache.empty_dir.size_limit if cache.empty_dir is not None else None
    return PodAsked(
        requests=_amounts(resources.get("requests")),
        limits=_amounts(resources.get("limits")),
        on_node=cache.persistent_volume_claim is None and cache.host_path is None,
        disk_limit=_read(parse_whole, limit),
        priority_class=pod.priority_class_name or "",
    )


def _amounts(written: Any) -> tuple[tuple[str, int], ...]:
    found = written if isinstance(written, Mapping) else {}
    read = ((name, _read(reader, found.get(name))) for name, reader in _READERS.items())
    return tuple((name, amount) for name, amount in read if amount is not None)


def _read(reader: Callable[[Any], int], written: Any) -> int | None:
    try:
        return None if written is None else max(0, reader(written))
    except QuantityError:
        return None
