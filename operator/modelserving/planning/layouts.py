"""How one replica may be spread over GPUs: tensor parallel, pipeline parallel, nodes, experts whole or cut.

Tensor parallelism answers each request with all GPUs at once; a pipeline lets them wait for each other. So layouts come in
tiers, and a later tier is looked at only where nothing of an earlier one does:

    ONE_NODE          one node, tensor parallel alone, or several engines beside each other that share out whole experts
    STAGES_ON_A_NODE  one node, tensor x pipeline parallel: for models whose heads do not divide by the GPUs it takes
    A_STAGE_A_NODE    several nodes, a pipeline stage on each, tensor parallel within (vLLM docs, "Parallelism and scaling")
    STAGES_ON_NODES   several nodes, several stages on each
    ACROSS_NODES      tensor parallel over the network: models that cannot be cut into stages, or whose stages are too uneven
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

# Nodes that one replica may span. Beyond it a pipeline is longer than any that vLLM's users report, and no model needs it.
MOST_NODES = 16


class Tier(IntEnum):
    """Kinds of layouts in the order of preference."""

    ONE_NODE = 0
    STAGES_ON_A_NODE = 1
    A_STAGE_A_NODE = 2
    STAGES_ON_NODES = 3
    ACROSS_NODES = 4

    @property
    def spans_nodes(self) -> bool:
        """Whether a replica takes several nodes."""
        return self >= Tier.A_STAGE_A_NODE


@dataclass(frozen=True, slots=True)
class Layout:
    """How one replica is spread.

    Attributes:
        tensor_parallel_size: GPUs each layer is cut over.
        pipeline_parallel_size: stages the layers are dealt to.
        nodes: nodes it spans, each with the same number of GPUs.
        whole_experts: whether GPUs hold whole experts instead of a share of each (`--enable-expert-parallel`).
        data_parallel_size: engines that share out the requests, and whole experts between them.
    """

    tensor_parallel_size: int
    pipeline_parallel_size: int = 1
    nodes: int = 1
    whole_experts: bool = False
    data_parallel_size: int = 1

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size

    @property
    def gpus_per_node(self) -> int:
        """GPUs it takes of each of its nodes."""
        return self.gpus // self.nodes

    @property
    def tier(self) -> Tier:
        """Which kind of layout it is."""
        if self.nodes == 1:
            return Tier.ONE_NODE if self.pipeline_parallel_size == 1 else Tier.STAGES_ON_A_NODE
        if self.tensor_parallel_size > self.gpus_per_node:
            return Tier.ACROSS_NODES
        return Tier.A_STAGE_A_NODE if self.pipeline_parallel_size == self.nodes else Tier.STAGES_ON_NODES


ONE_GPU = Layout(1)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the request and the nodes allow.

    Attributes:
        gpus_per_node: GPUs a pod may take of one node.
        nodes: nodes with that many or fewer GPUs that a replica could span.
        most_gpus: GPUs a replica may take.
        most_stages: stages the model can be cut into.
        tensor_parallel_size: as the user states it.
        pipeline_parallel_size: as the user states it.
    """

    gpus_per_node: int
    nodes: int
    most_gpus: int
    most_stages: int
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None


def as_engines(layout: Layout) -> Iterator[Layout]:
    """The same GPUs of one node as several engines, for a model with experts: each holds all of the model but the experts.

    The KV cache of a request is then on the GPUs of one engine alone, where tensor parallelism would repeat latent attention, and
    heads fewer than GPUs, on each.
    """
    if layout.nodes > 1 or layout.pipeline_parallel_size > 1:
        return
    for engines in range(2, layout.tensor_parallel_size + 1):
        if layout.tensor_parallel_size % engines == 0:
            yield Layout(layout.tensor_parallel_size // engines, 1, 1, True, engines)


@lru_cache(maxsize=1024)
def layouts(limits: Limits, tier: Tier) -> Mapping[tuple[int, int], tuple[Layout, ...]]:
    """List the layouts of a tier, experts cut, by the nodes and the GPUs that they take."""
    found: dict[tuple[int, int], tuple[Layout, ...]] = {}
    for layout in _layouts(limits, tier):
        size = layout.nodes, layout.gpus
        found[size] = (*found.get(size, ()), layout)
    return found


def _layouts(limits: Limits, tier: Tier) -> Iterator[Layout]:
    if tier in (Tier.ONE_NODE, Tier.STAGES_ON_A_NODE):
        spans: range = range(1, 2)
    else:
        spans = range(2, min(limits.nodes, MOST_NODES) + 1)
    for nodes in spans:
        for gpus_per_node in range(1, min(limits.gpus_per_node, limits.most_gpus // nodes) + 1):
            yield from _of_size(limits, tier, nodes, gpus_per_node)


def _of_size(limits: Limits, tier: Tier, nodes: int, gpus_per_node: int) -> Iterator[Layout]:
    gpus = nodes * gpus_per_node
    for size in range(1, gpus + 1):
        if gpus % size or limits.tensor_parallel_size not in (None, size):
            continue
        stages = gpus // size
        if stages > limits.most_stages or limits.pipeline_parallel_size not in (None, stages):
            continue
        # A stage that spans nodes must fill them, and nodes must hold whole stages.
        larger, smaller = max(size, gpus_per_node), min(size, gpus_per_node)
        if larger % smaller:
            continue
        layout = Layout(size, stages, nodes)
        if layout.tier is tier:
            yield layout
