"""Every knob of the operator: type, unit, default, consequence. The environment name is MODELSERVING_ + the field's name in capitals."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

ENVIRONMENT_PREFIX = "MODELSERVING_"


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
