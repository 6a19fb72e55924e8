"""The figures of a comparison as every form of it shows them: bytes of each GPU, the rule of thumb, how a layout is written."""

import re
from dataclasses import dataclass

from modelserving.cluster.capacity import NodeShape
from modelserving.planning.comparison import Answer, Comparison, Row
from modelserving.planning.comparison_trial import Layout
from modelserving.units import GB

# Billions of parameters as names of models state them: `72b`, `0.5B`; not the `8x7B` of a mixture, whose product is not its size.
_BILLIONS = re.compile(r"(?<![0-9A-Za-z.])([0-9]{1,4}(?:\.[0-9]{1,3})?)[bB](?![0-9A-Za-z])")
_BITS_PER_BYTE = 8
_BILLION = 10**9
NONE = "–"


@dataclass(frozen=True, slots=True)
class GpuFigures:
    """Bytes on the fullest GPU of a layout; all but the last two add up to the budget."""

    weights: int
    kv_cache: int
    activation_peak: int
    cuda_graphs: int
    non_torch: int
    spare: int
    budget: int
    memory: int

    @property
    def total(self) -> int:
        """What is needed, spare memory not counted."""
        return self.budget - self.spare


def gpu_figures(layout: Layout) -> GpuFigures:
    """Take the figures of a layout's fullest GPU."""
    memory, rank = layout.memory, layout.memory.tightest_rank
    requested = memory.kv_cache.requested_bytes
    return GpuFigures(
        weights=rank.weights.value,
        kv_cache=requested,
        activation_peak=rank.activation_peak.value,
        cuda_graphs=rank.cuda_graphs.value,
        non_torch=rank.non_torch.value,
        spare=rank.kv_cache_available - requested,
        budget=memory.budget_bytes,
        memory=memory.total_bytes,
    )


def parameters_by_name(comparison: Comparison) -> int:
    """Parameters as the name of the model has them; the true number where it has none."""
    found = _BILLIONS.search(comparison.facts.model.rpartition("/")[2])
    return round(float(found[1]) * _BILLION) if found else comparison.facts.parameter_count


def rule_of_thumb_bytes(comparison: Comparison, row: Row) -> int:
    """Bytes of weights by the rule of thumb: parameters by name, times bits by name."""
    return parameters_by_name(comparison) * row.method.bits // _BITS_PER_BYTE


def gigabytes(num_bytes: int) -> str:
    """Write bytes in GB, as weights of models are told of."""
    return f"{num_bytes / GB:,.1f}"


def layout_text(layout: Layout | None) -> str:
    """Write a layout in as few characters as possible: `4`, `3 PP`, `2 × 4`."""
    if layout is None:
        return NONE
    if layout.nodes > 1:
        return f"{layout.nodes} × {layout.gpus // layout.nodes}"
    return f"{layout.gpus} PP" if layout.config.pipeline_parallel_size > 1 else f"{layout.gpus}"


LAYOUT_LEGEND = "4: GPUs of one node, tensor parallel (TP); 3 PP: pipeline stages; 2 × 4: 2 nodes of 4 GPUs; –: does not work there."


def layout_sentence(layout: Layout) -> str:
    """Write a layout in words: `2 nodes of 4 GPUs, TP 4, PP 2`."""
    config, per_node = layout.config, layout.gpus // layout.nodes
    sizes = (("TP", config.tensor_parallel_size), ("PP", config.pipeline_parallel_size))
    gpus = "1 GPU" if per_node == 1 else f"{per_node} GPUs"
    where = gpus if layout.nodes == 1 else f"{layout.nodes} nodes of {gpus}"
    return ", ".join([where, *(f"{name} {size}" for name, size in sizes if size > 1)])


def is_whole_context(answer: Answer, comparison: Comparison) -> bool:
    """Whether the model's own limit ends the context, and not the memory."""
    return answer.longest_context >= comparison.facts.max_model_len


def context_text(answer: Answer, comparison: Comparison) -> str:
    """Write the longest context, marked where it is the model's own limit."""
    if answer.layout is None:
        return NONE
    return f"{answer.longest_context:,}{' (all)' if is_whole_context(answer, comparison) else ''}"


def shape_title(shape: NodeShape) -> str:
    """Name a kind of node."""
    nodes = len(shape.nodes)
    return f"{shape.gpu.product}, {shape.gpus_per_node} on a node, {nodes} node{'' if nodes == 1 else 's'}"


def asked_text(comparison: Comparison) -> str:
    """State what must fit."""
    return f"for {requests_text(comparison)}, on vLLM {comparison.version.text}"


def requests_text(comparison: Comparison) -> str:
    """State the requests whose KV cache must fit at once."""
    length, count = f"{comparison.context_length:,} tokens", comparison.request.concurrency
    return f"{count} requests of {length} each" if count > 1 else f"1 request of {length}"
