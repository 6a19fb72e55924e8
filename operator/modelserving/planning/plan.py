"""What planning answers: a plan, or a rejection with its reasons. Values only."""

from dataclasses import dataclass

from modelserving.engine.config import EngineConfig
from modelserving.sizing.budget import MemoryEstimate


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that was considered and not taken.

    Attributes:
        candidate: what it was, for a person: `2 × NVIDIA-H100-80GB-HBM3`.
        reason: CamelCase.
        message: why, with numbers.
        gpus: GPUs it would have taken.
        gpu_product: on which product.
        shortfall_bytes: bytes missing on each GPU; 0 where memory was not the reason.
    """

    candidate: str
    reason: str
    message: str
    gpus: int = 0
    gpu_product: str = ""
    shortfall_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Alternative:
    """A candidate that would work and was not the best."""

    candidate: str
    message: str


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would make a rejected model fit.

    Attributes:
        change: what to write into spec, ready to paste.
        message: what it would achieve.
    """

    change: str
    message: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a replica goes.

    Attributes:
        gpu_product: product as the node label says.
        gpu_resource: extended resource to request.
        gpus_per_node: GPUs on each node of the replica.
        nodes_per_replica: nodes one replica spans.
        free_now: replicas that free GPUs could take at the moment of planning, the GPUs of pods it replaces counted as free.
        beside_now: replicas that could have started then beside everything that ran, those pods included.
        waiting: sentence on what it waits for; empty if nothing.
    """

    gpu_product: str
    gpu_resource: str
    gpus_per_node: int
    nodes_per_replica: int = 1
    free_now: int = 0
    beside_now: int = 0
    waiting: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model will be served.

    Attributes:
        model: checkpoint that is served (a variant where one was chosen).
        revision: commit it is pinned to.
        origin: where its facts came from (`Hub`, `Catalogue`, …).
        architecture: the model's architecture in config.json.
        parameter_count: parameters of the checkpoint.
        precision: precision it is served in, never `auto`.
        stored: whether the checkpoint is served as stored.
        quantization: method in vLLM's words, stored or on the fly; None where nothing is quantized.
        engine_version: vLLM version the plan is for.
        config: the engine's configuration.
        placement: where a replica goes.
        memory: the arithmetic.
        concurrency: requests of full length that were asked for.
        checkpoint_bytes: bytes of the checkpoint on disk.
        decision: one sentence a manager understands.
        given_up: the user's fallbacks that were taken, in the API's words.
        rejected: candidates considered before, in the order of preference.
        alternatives: what else would work.
        notes: what was assumed, and where facts came from, in sentences.
        request_digest: digest of everything the plan was made from except the cluster's state.
    """

    model: str
    revision: str
    origin: str
    architecture: str
    parameter_count: int
    precision: str
    stored: bool
    quantization: str | None
    engine_version: str
    config: EngineConfig
    placement: Placement
    memory: MemoryEstimate
    concurrency: int
    checkpoint_bytes: int
    decision: str
    given_up: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()
    request_digest: str = ""

    @property
    def gpus_per_replica(self) -> int:
        """GPUs one replica takes."""
        return self.config.world_size


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why nothing was planned.

    Attributes:
        reason: CamelCase, from api.reasons.
        message: what is wrong, with numbers, and what would work.
        rejected: every candidate with its reason.
        notes: as in a plan.
        remedies: what would make it fit.
    """

    reason: str
    message: str
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
