"""Every knob of the operator: type, unit, default, consequence. The environment name is MODELSERVING_ + the field's name in capitals."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from modelserving.units import parse_millis, parse_whole

ENVIRONMENT_PREFIX = "MODELSERVING_"


def _written(value: Any) -> Any:
    """Lists and maps come as YAML, of which JSON is a part, where they come from an environment variable."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"this is no valid YAML or JSON ({str(error).splitlines()[0]})") from error


def _as_text(value: Any) -> Any:
    """`8` stands for `"8"`, as in a manifest."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _some_cpu(text: str) -> str:
    return _above_zero(text, parse_millis(text))


def _some_bytes(text: str) -> str:
    return _above_zero(text, parse_whole(text))


def _above_zero(text: str, amount: int) -> str:
    if amount <= 0:
        raise ValueError(f"{text!r} is nothing; write an amount above 0")
    return text


_QUANTITY_SCHEMA = WithJsonSchema({"type": ["string", "number"]})
Cpu = Annotated[str, BeforeValidator(_as_text), AfterValidator(_some_cpu), _QUANTITY_SCHEMA]
Bytes = Annotated[str, BeforeValidator(_as_text), AfterValidator(_some_bytes), _QUANTITY_SCHEMA]


def _named_once(shapes: tuple["NodeShape", ...]) -> tuple["NodeShape", ...]:
    names = [shape.name for shape in shapes]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise ValueError(f"the name {twice} is given more than once")
    return shapes


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class NodeTaint(_Declared):
    """A taint that nodes of a declared shape will have."""

    key: Annotated[str, Field(min_length=1, description="Key of the taint.")]
    value: Annotated[str, Field(description="Value of the taint.")] = ""
    effect: Annotated[
        Literal["NoSchedule", "PreferNoSchedule", "NoExecute"], Field(description="Effect of the taint.")
    ] = "NoSchedule"


class NodeShape(_Declared):
    """A shape of node that an autoscaler can make."""

    name: Annotated[str, Field(min_length=1, max_length=63, description="Name of the node group, for messages.")]
    gpu_product: Annotated[
        str,
        Field(min_length=1, max_length=120, description="Product as the node label nvidia.com/gpu.product will say."),
    ]
    gpus: Annotated[int, Field(ge=1, le=128, description="GPUs, or MIG slices, of one node.")]
    gpu_resource: Annotated[
        str,
        Field(
            pattern=r"^nvidia\.com/(gpu|mig-[0-9]g\.[0-9]+gb[a-z0-9.]*)$",
            description="Extended resource that counts them: nvidia.com/gpu, or nvidia.com/mig-… with MIG's mixed strategy.",
        ),
    ] = "nvidia.com/gpu"
    gpu_memory: Annotated[
        Bytes | None,
        Field(
            description="Memory of one GPU as the driver reports it; needed for products and slices that are not known."
        ),
    ] = None
    compute_capability: Annotated[
        str | None,
        BeforeValidator(_as_text),
        Field(
            pattern=r"^[0-9]{1,2}\.[0-9]{1,2}$", description="CUDA compute capability; needed for products not known."
        ),
    ] = None
    cpu: Annotated[Cpu, Field(description="Allocatable CPU of one node.")]
    memory: Annotated[Bytes, Field(description="Allocatable host memory of one node.")]
    ephemeral_storage: Annotated[
        Bytes | None,
        Field(description="Allocatable local storage of one node; left out: as much as is asked for."),
    ] = None
    labels: Annotated[Mapping[str, str], Field(description="Labels the nodes will have, those of the GPU apart.")] = (
        Field(default_factory=dict)
    )
    taints: Annotated[tuple[NodeTaint, ...], Field(description="Taints the nodes will have.")] = ()
    max_nodes: Annotated[
        int | None,
        Field(ge=1, description="Nodes there can be, those that exist included; left out: no limit is known."),
    ] = None
    price_per_gpu_hour: Annotated[
        float | None,
        Field(gt=0, allow_inf_nan=False, description="Price of one GPU for one hour; left out: as gpuPrices say."),
    ] = None


class Settings(BaseModel):
    """Settings of one operator process, read once at its start."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine_version: Annotated[str, Field(description="vLLM version served where a resource names none.")] = "0.32.0"
    engine_image: Annotated[str, Field(description="Image repository of vLLM; the tag is v + version.")] = (
        "vllm/vllm-openai"
    )
    allow_host_path: Annotated[
        bool, Field(description="Whether resources may keep weights in a folder of the node.")
    ] = False
    hub_enabled: Annotated[
        bool, Field(description="Ask the Hub for facts of models; off: only the bundled catalogue answers.")
    ] = True
    hub_endpoint: Annotated[
        str, Field(description="Address of the Hub or a mirror; empty: huggingface_hub's own default (HF_ENDPOINT).")
    ] = ""
    hub_timeout_seconds: Annotated[
        float, Field(gt=0, le=600, description="Longest one model's facts may take to read.")
    ] = 30.0
    hub_request_timeout_seconds: Annotated[
        float, Field(gt=0, le=120, description="Longest one request to the Hub may take.")
    ] = 10.0
    hub_max_age_seconds: Annotated[
        float, Field(ge=0, description="Age at which a branch is resolved to its commit again for a new plan.")
    ] = 86_400.0
    hub_retry_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="First pause before a Hub that could not be reached is asked again; doubles up to ten minutes.",
        ),
    ] = 5.0
    namespace: Annotated[
        str, Field(description="Namespace the operator runs in: its Lease and its cache of facts live there.")
    ] = "modelserving-system"
    identity: Annotated[str, Field(description="Name of this replica in the Lease; empty: host name.")] = ""
    lease_seconds: Annotated[int, Field(ge=2, description="How long a leader that fell silent stays leader.")] = 15
    workers: Annotated[int, Field(ge=1, le=64, description="Resources reconciled at the same time.")] = 8
    resync_seconds: Annotated[float, Field(gt=0, description="Pause between full LISTs that drop ghosts.")] = 600.0
    replan_after_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long pods find no node before replan: WhenUnschedulable makes a new plan; afterwards the pause between looks.",
        ),
    ] = 300.0
    status_settle_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="Status of a workload that was just applied waits this long for its pods, so that one write serves.",
        ),
    ] = 1.0
    http_host: Annotated[str, Field(description="Address the HTTP server listens on.")] = "0.0.0.0"
    http_port: Annotated[
        int, Field(ge=0, le=65535, description="Port of /healthz, /readyz and /metrics; 0: any free one.")
    ] = 8080
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="What is logged.")] = "INFO"
    log_format: Annotated[str, Field(pattern="^(text|json)$", description="How it is logged.")] = "text"
    node_shapes: Annotated[
        tuple[NodeShape, ...],
        BeforeValidator(_written),
        AfterValidator(_named_once),
        Field(description="Shapes of node that an autoscaler can make: planned for where nothing that exists fits."),
    ] = ()
    gpu_prices: Annotated[
        Mapping[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]],
        BeforeValidator(_written),
        Field(
            description="Price of one GPU for one hour by product, all in one currency: decides between plans with as many GPUs."
        ),
    ] = Field(default_factory=dict)
