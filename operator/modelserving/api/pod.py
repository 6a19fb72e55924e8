"""What a user may say about the pods: the engine in them, where it keeps weights, where it may run."""

from typing import Annotated

from pydantic import Field

from modelserving.api.base import QUALIFIED_KEYS, ApiModel, LabelValue, ListType, Quantity, Rule, pattern
from modelserving.api.fragment import Fragment, ShapedAs
from modelserving.api.fragment_types import Affinity, EnvVarSource, Toleration
from modelserving.api.names import ObjectName
from modelserving.api.volume_types import Resources, Volume, VolumeMount


class EnvVar(ApiModel):
    """An environment variable of the engine's container."""

    rules = (
        Rule(
            cel="!(has(self.value) && has(self.valueFrom))",
            message="value and valueFrom exclude each other: set one",
            holds=lambda env: env.value is None or env.value_from is None,
        ),
    )

    name: Annotated[
        str,
        Field(min_length=1, max_length=256, description="Name of the variable."),
        pattern(
            r"[A-Za-z_][A-Za-z0-9_.-]*",
            "no name of a variable: letters, digits, '_', '.' and '-', not beginning with a digit",
        ),
    ]
    value: Annotated[str | None, Field(max_length=8192, description="Its value.")] = None
    value_from: Annotated[
        Annotated[Fragment, ShapedAs(EnvVarSource)] | None,
        Field(description="Where its value comes from, as in a pod: `secretKeyRef`, `configMapKeyRef`, `fieldRef`."),
    ] = None


class EngineSpec(ApiModel):
    """The vLLM that serves."""

    image: Annotated[
        Annotated[
            str,
            Field(min_length=1, max_length=512),
            pattern(r"[A-Za-z0-9._:/@-]+", "no container image: write for example vllm/vllm-openai:v0.32.0"),
        ]
        | None,
        Field(
            description="Container image; left out: the operator's default for the version. "
            "With an image of your own, state `version` too."
        ),
    ] = None
    version: Annotated[
        Annotated[
            str,
            Field(min_length=1, max_length=32),
            pattern(r"v?[0-9]{1,4}\.[0-9]{1,4}(?:\.[0-9]{1,4})?", "no version of vLLM: write for example 0.32.0"),
        ]
        | None,
        Field(description="vLLM version in the image; left out: the operator's default. Sizing and flags follow it."),
    ] = None
    extra_args: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=4096)]],
        Field(
            max_length=128,
            description="Further arguments of `vllm serve`. Flags the operator sets itself are refused, "
            "with the field to use instead.",
        ),
    ] = []
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=128,
            description="Further environment variables of the engine. Names the operator sets itself are refused.",
        ),
        ListType("map", "name"),
    ] = []


class EmptyDirCache(ApiModel):
    """A folder on the node that lives as long as the pod."""

    size_limit: Annotated[
        Quantity | None,
        Field(description="Most it may hold, for example `300Gi`; left out: sized from the checkpoint."),
    ] = None


class ClaimCache(ApiModel):
    """An existing PersistentVolumeClaim."""

    claim_name: Annotated[ObjectName, Field(description="Name of the claim, in the namespace of the resource.")]


class HostPathCache(ApiModel):
    """A folder of the node."""

    path: Annotated[
        str,
        Field(min_length=2, max_length=1024, description="Absolute path, for example `/var/lib/models`."),
        Rule(
            cel="self.startsWith('/') && !self.contains('..')",
            message="no path of a node: begin with '/', and without '..'",
            holds=lambda path: path.startswith("/") and ".." not in path,
        ),
    ]


class CacheSpec(ApiModel):
    """Where weights are kept; at most one of its kinds."""

    rules = (
        Rule(
            cel="[has(self.emptyDir), has(self.persistentVolumeClaim), has(self.hostPath)].filter(kind, kind).size() <= 1",
            message="weights are kept in one place: set one of emptyDir, persistentVolumeClaim and hostPath",
            holds=lambda cache: [cache.empty_dir, cache.persistent_volume_claim, cache.host_path].count(None) >= 2,
        ),
    )

    empty_dir: Annotated[
        EmptyDirCache | None,
        Field(description="A folder on the node that lives as long as the pod; every start downloads again."),
    ] = None
    persistent_volume_claim: Annotated[
        ClaimCache | None,
        Field(description="An existing claim. With several replicas it must be mountable on several nodes."),
    ] = None
    host_path: Annotated[
        HostPathCache | None,
        Field(
            description="A folder of the node, shared by all pods on it; only where the operator's settings allow it."
        ),
    ] = None


class PodSpec(ApiModel):
    """What of the pod a user may set; the rest is the operator's."""

    node_selector: Annotated[
        dict[str, LabelValue], Field(max_length=64, description="Node labels the pods need."), QUALIFIED_KEYS
    ] = {}
    tolerations: Annotated[
        list[Annotated[Fragment, ShapedAs(Toleration)]],
        Field(max_length=64, description="Taints the pods bear, as in a pod; that of GPU nodes is borne anyway."),
    ] = []
    affinity: Annotated[
        Annotated[Fragment, ShapedAs(Affinity)] | None,
        Field(description="Affinity, as in a pod; the GPU product of the plan is added."),
    ] = None
    labels: Annotated[
        dict[str, LabelValue], Field(max_length=64, description="Further labels of the pods."), QUALIFIED_KEYS
    ] = {}
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=16384)]],
        Field(max_length=64, description="Further annotations of the pods."),
        QUALIFIED_KEYS,
    ] = {}
    priority_class_name: Annotated[ObjectName | None, Field(description="Priority class of the pods.")] = None
    service_account_name: Annotated[ObjectName | None, Field(description="ServiceAccount the pods run as.")] = None
    image_pull_secrets: Annotated[
        list[ObjectName], Field(max_length=16, description="Names of Secrets to pull the image with."), ListType("set")
    ] = []
    resources: Annotated[
        Annotated[Fragment, ShapedAs(Resources)] | None,
        Field(
            description="`requests` and `limits` of CPU, memory and ephemeral storage of the engine's container; "
            "GPUs are the operator's."
        ),
    ] = None
    volumes: Annotated[
        list[Annotated[Fragment, ShapedAs(Volume)]], Field(max_length=32, description="Further volumes, as in a pod.")
    ] = []
    volume_mounts: Annotated[
        list[Annotated[Fragment, ShapedAs(VolumeMount)]],
        Field(max_length=32, description="Where they are mounted in the engine's container."),
    ] = []
