"""What a user says about the pod, held against Kubernetes' types and against what is the operator's: parts, or a problem."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from modelserving.api.fragment_types import Affinity, EnvVarSource, Part, Toleration
from modelserving.api.modelserving import ModelServingSpec
from modelserving.api.problems import Problem, problems
from modelserving.api.reasons import Reason
from modelserving.api.volume_types import Resources, Volume, VolumeMount
from modelserving.render.environment import RESERVED
from modelserving.render.names import RESERVED_LABELS, RESERVED_PREFIXES
from modelserving.render.problem import RenderProblem

# Half of what the API server allows for all annotations of an object.
MOST_ANNOTATION_BYTES = 128 * 1024
# Problems named in one message: the rest shows once these are mended.
_MOST_SHOWN = 5
# What pydantic puts before the message of a ValueError.
_VALUE_ERROR = "Value error, "
# What api.problems calls the whole of what was read.
_WHOLE = "the resource"


@dataclass(frozen=True, slots=True)
class PodParts:
    """A user's pieces of the pod as JSON, valid and free of what is the operator's."""

    tolerations: list[dict[str, Any]]
    affinity: dict[str, Any]
    requests: dict[str, str]
    limits: dict[str, str]
    volumes: list[dict[str, Any]]
    volume_mounts: list[dict[str, Any]]
    env: list[dict[str, Any]]


class _Env(Part):
    name: str
    value: str | None = None
    value_from: EnvVarSource | None = None

    @model_validator(mode="after")
    def _is_open(self) -> Self:
        if self.name in RESERVED:
            raise ValueError(f"{self.name} is the operator's: {RESERVED[self.name]}")
        return self


class _Written(Part):
    tolerations: list[Toleration] = Field(default_factory=list)
    affinity: Affinity = Affinity()
    resources: Resources = Resources()
    volumes: list[Volume] = Field(default_factory=list)
    volume_mounts: list[VolumeMount] = Field(default_factory=list)
    env: list[_Env] = Field(default_factory=list)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        known = {volume.name for volume in self.volumes}
        wrong = [f"volumes: two are called {name}" for name in _twice(volume.name for volume in self.volumes)]
        wrong += [
            f"volumeMounts: two are at {path}" for path in _twice(mount.mount_path for mount in self.volume_mounts)
        ]
        wrong += [f"env: {name} is set twice" for name in _twice(variable.name for variable in self.env)]
        wrong += [
            f"volumeMounts: there is no volume {mount.name} in spec.pod.volumes"
            for mount in self.volume_mounts
            if mount.name not in known
        ]
        if wrong:
            raise ValueError("; ".join(wrong[:_MOST_SHOWN]))
        return self


def read_fragments(spec: ModelServingSpec, allow_host_path: bool) -> PodParts | RenderProblem:
    """Read the free-form pieces of a spec.

    Args:
        spec: the spec; its own fields are valid already, the pieces of a pod in it may be anything.
        allow_host_path: whether the operator's settings allow folders of the node.
    """
    pod = spec.pod
    foreign = _foreign_keys(spec)
    if foreign:
        return RenderProblem(Reason.INVALID_SPEC, "; ".join(foreign[:_MOST_SHOWN]) + ".")
    try:
        written = _Written.model_validate(
            {
                "tolerations": pod.tolerations,
                "affinity": pod.affinity,
                "resources": pod.resources,
                "volumes": pod.volumes,
                "volumeMounts": pod.volume_mounts,
                "env": [{"name": e.name, "value": e.value, "valueFrom": e.value_from} for e in spec.engine.env],
            }
        )
    except ValidationError as error:
        found = [_sentence(problem) for problem in problems(error)]
        more = f"; and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        return RenderProblem(Reason.INVALID_SPEC, "; ".join(found[:_MOST_SHOWN]) + more + ".")
    for index, volume in enumerate(written.volumes):
        if volume.host_path is not None and not allow_host_path:
            return RenderProblem(
                Reason.NOT_ALLOWED,
                f"spec.pod.volumes[{index}].hostPath: this operator's settings do not allow folders of the node "
                "(MODELSERVING_ALLOW_HOST_PATH); use a persistentVolumeClaim.",
            )
    return PodParts(
        tolerations=[toleration.given() for toleration in written.tolerations],
        affinity=written.affinity.given(),
        requests=dict(sorted(written.resources.requests.items())),
        limits=dict(sorted(written.resources.limits.items())),
        volumes=[volume.given() for volume in written.volumes],
        volume_mounts=[mount.given() for mount in written.volume_mounts],
        env=[variable.given() for variable in written.env],
    )


def _foreign_keys(spec: ModelServingSpec) -> list[str]:
    pod = spec.pod
    wrong = []
    for place, keys in (("labels", pod.labels), ("annotations", pod.annotations)):
        for key in keys:
            if key.startswith(RESERVED_PREFIXES) or key in RESERVED_LABELS:
                wrong.append(f"spec.pod.{place}: {key} is the operator's; take another key")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in pod.annotations.items())
    if size > MOST_ANNOTATION_BYTES:
        wrong.append(f"spec.pod.annotations: {size} bytes in all; at most {MOST_ANNOTATION_BYTES} fit beside the plan")
    return wrong


def _sentence(problem: Problem) -> str:
    if problem.path.startswith("env"):
        path = f"spec.engine.{problem.path}"
    else:
        path = "spec.pod" if problem.path == _WHOLE else f"spec.pod.{problem.path}"
    return f"{path}: {problem.message.removeprefix(_VALUE_ERROR)}"


def _twice(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]
