"""Status of a ModelServing: what was decided, with the arithmetic, and what is running."""

from typing import Annotated, Literal

from pydantic import Field

from modelserving.api.base import ApiModel, ListType


class Condition(ApiModel):
    """A metav1.Condition."""

    type: Annotated[str, Field(max_length=316, description="Planned, Available, Progressing or Degraded.")]
    status: Annotated[Literal["True", "False", "Unknown"], Field(description="Whether it holds.")]
    reason: Annotated[str, Field(min_length=1, max_length=1024, description="One word, for machines.")]
    message: Annotated[str, Field(max_length=32768, description="A sentence with numbers, for people.")] = ""
    last_transition_time: Annotated[
        str, Field(json_schema_extra={"format": "date-time"}, description="When its status last changed.")
    ]
    observed_generation: Annotated[
        int | None, Field(ge=0, description="Generation of the resource it was decided for.")
    ] = None


class RankMemoryStatus(ApiModel):
    """Memory of one GPU, in GiB (2^30 bytes) as decimal text."""

    pipeline_rank: Annotated[int, Field(description="Pipeline stage; all GPUs of a stage are alike.")]
    weights: Annotated[str, Field(description="Weights on the GPU.")]
    kv_cache: Annotated[str, Field(description="KV cache that was asked for: contextLength x concurrency.")]
    activation_peak: Annotated[str, Field(description="Highest use by activations while vLLM profiles itself.")]
    cuda_graphs: Annotated[str, Field(description="Captured CUDA graphs.")]
    non_torch: Annotated[str, Field(description="What the driver and NCCL take inside the budget.")]
    total: Annotated[str, Field(description="Sum of the above.")]
    available: Annotated[str, Field(description="What vLLM may use: the GPU's total x memory utilization.")]
    spare: Annotated[str, Field(description="What is left; vLLM gives it to the KV cache.")]


class RejectedStatus(ApiModel):
    """A candidate that was not taken."""

    candidate: Annotated[str, Field(description="What was considered.")]
    reason: Annotated[str, Field(description="Why not, in one word.")]
    message: Annotated[str, Field(description="Why not, with numbers.")]


class AlternativeStatus(ApiModel):
    """A candidate that would work too."""

    candidate: Annotated[str, Field(description="What was considered.")]
    message: Annotated[str, Field(description="What it would take.")]


class PlanStatus(ApiModel):
    """The plan in force."""

    decision: Annotated[str, Field(description="The plan in one sentence.")]
    model: Annotated[str, Field(description="Checkpoint that is served.")]
    model_revision: Annotated[str, Field(description="Commit it is pinned to.")]
    facts_from: Annotated[str, Field(description="Where the model's facts came from: Hub, Catalogue, File.")]
    precision: Annotated[str, Field(description="Precision it is served in.")]
    quantization: Annotated[str | None, Field(description="Quantization method in vLLM's words.")] = None
    engine_version: Annotated[str, Field(description="vLLM version the plan is for.")]
    tensor_parallel_size: Annotated[int, Field(description="GPUs each layer is split over.")]
    pipeline_parallel_size: Annotated[int, Field(description="Stages the layers are dealt to.")]
    data_parallel_size: Annotated[int, Field(description="Engines of a replica that share its requests out.")] = 1
    gpus_per_replica: Annotated[int, Field(description="GPUs one replica takes.")]
    gpu_product: Annotated[str, Field(description="GPU product, as the node label `nvidia.com/gpu.product` says.")]
    nodes_per_replica: Annotated[int, Field(description="Nodes one replica spans.")]
    fallbacks_taken: Annotated[
        list[str], Field(description="Those of spec.fallbacks that were taken to make it fit.")
    ] = []
    arguments: Annotated[list[str], Field(description="Arguments of `vllm serve`.")]
    memory: Annotated[list[RankMemoryStatus], Field(description="The arithmetic, per GPU, in GiB.")]
    kv_cache_tokens: Annotated[int, Field(description="Tokens the resulting KV cache holds.")]
    max_concurrency: Annotated[str, Field(description="Requests of full length that fit at once.")]
    rejected: Annotated[list[RejectedStatus], Field(description="Candidates that were not taken, and why.")] = []
    alternatives: Annotated[list[AlternativeStatus], Field(description="Candidates that would work too.")] = []
    notes: Annotated[list[str], Field(description="Assumptions, and where facts came from.")] = []


class ModelServingStatus(ApiModel):
    """What was decided, with the arithmetic, and what is running. Written by the operator."""

    observed_generation: Annotated[int, Field(description="Generation of the resource this status is about.")] = 0
    conditions: Annotated[
        list[Condition],
        Field(description="Planned, Available, Progressing and Degraded."),
        ListType("map", "type"),
    ] = []
    plan: Annotated[PlanStatus | None, Field(description="The plan in force.")] = None
    endpoint: Annotated[str | None, Field(description="Address of the OpenAI-compatible API inside the cluster.")] = (
        None
    )
    replicas: Annotated[int, Field(description="Pods that exist.")] = 0
    ready_replicas: Annotated[int, Field(description="Pods that answer.")] = 0
    selector: Annotated[str | None, Field(description="Label selector of the pods, for the scale subresource.")] = None
    ready: Annotated[str | None, Field(description="Ready of wanted replicas, for people: 1/1.")] = None
    reason: Annotated[str | None, Field(description="The reason that matters most now, for people.")] = None
