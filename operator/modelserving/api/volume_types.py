"""Kubernetes' types for a user's volumes, mounts and resources: an allow-list of volume kinds, and what is the operator's refused."""

import posixpath
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from modelserving.api.fragment_types import Amount, FieldSelector, Int64, Mode, Part, ResourceFieldSelector, Text
from modelserving.api.names import is_label_name
from modelserving.units import parse_quantity

CACHE_VOLUME = "cache"
CACHE_PATH = "/cache"
SHM_VOLUME = "dshm"
SHM_PATH = "/dev/shm"
# Paths at which, below which, and above which nothing else may be mounted.
_OWN_PATHS = (CACHE_PATH, SHM_PATH)
_RESOURCES = ("cpu", "memory", "ephemeral-storage")


class KeyToPath(Part):
    """core/v1 KeyToPath."""

    key: Text
    path: Text
    mode: Mode | None = None


class ConfigMapSource(Part):
    """core/v1 ConfigMapVolumeSource and ConfigMapProjection."""

    name: Text
    items: list[KeyToPath] | None = None
    default_mode: Mode | None = None
    optional: bool | None = None


class SecretSource(Part):
    """core/v1 SecretVolumeSource."""

    secret_name: Text
    items: list[KeyToPath] | None = None
    default_mode: Mode | None = None
    optional: bool | None = None


class EmptyDirSource(Part):
    """core/v1 EmptyDirVolumeSource."""

    medium: Literal["", "Memory"] | None = None
    size_limit: Amount | None = None


class ClaimSource(Part):
    """core/v1 PersistentVolumeClaimVolumeSource."""

    claim_name: Text
    read_only: bool | None = None


class HostPathSource(Part):
    """core/v1 HostPathVolumeSource."""

    path: Text
    type: Literal["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File"] | None = None


class NfsSource(Part):
    """core/v1 NFSVolumeSource."""

    server: Text
    path: Annotated[str, Field(pattern="^/")]
    read_only: bool | None = None


class CsiSource(Part):
    """core/v1 CSIVolumeSource."""

    driver: Text
    read_only: bool | None = None
    fs_type: Text | None = None
    volume_attributes: dict[str, str] | None = None


class ProjectedKeys(Part):
    """core/v1 ConfigMapProjection and SecretProjection."""

    name: Text
    items: list[KeyToPath] | None = None
    optional: bool | None = None


class TokenProjection(Part):
    """core/v1 ServiceAccountTokenProjection."""

    path: Text
    audience: Text | None = None
    expiration_seconds: Annotated[Int64, Field(ge=600)] | None = None


class DownwardFile(Part):
    """core/v1 DownwardAPIVolumeFile."""

    path: Text
    field_ref: FieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: Mode | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        if (self.field_ref is None) == (self.resource_field_ref is None):
            raise ValueError("name one source: fieldRef or resourceFieldRef")
        return self


class DownwardProjection(Part):
    """core/v1 DownwardAPIProjection."""

    items: list[DownwardFile] | None = None


class Projection(Part):
    """core/v1 VolumeProjection: exactly one source."""

    config_map: ProjectedKeys | None = None
    secret: ProjectedKeys | None = None
    service_account_token: TokenProjection | None = None
    downward_api: Annotated[
        DownwardProjection | None, Field(validation_alias="downwardAPI", serialization_alias="downwardAPI")
    ] = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        if len(self.given()) != 1:
            raise ValueError("name one source: configMap, secret, serviceAccountToken or downwardAPI")
        return self


class ProjectedSource(Part):
    """core/v1 ProjectedVolumeSource."""

    sources: Annotated[list[Projection], Field(min_length=1)]
    default_mode: Mode | None = None


class Volume(Part):
    """core/v1 Volume with the kinds that are on the allow-list."""

    name: Text
    config_map: ConfigMapSource | None = None
    secret: SecretSource | None = None
    empty_dir: EmptyDirSource | None = None
    persistent_volume_claim: ClaimSource | None = None
    host_path: HostPathSource | None = None
    nfs: NfsSource | None = None
    csi: CsiSource | None = None
    projected: ProjectedSource | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        if self.name in (CACHE_VOLUME, SHM_VOLUME):
            raise ValueError(f"the name {self.name} is the operator's; take another (weights: spec.cache)")
        if not is_label_name(self.name):
            raise ValueError("name must be lower case letters, digits and dashes, at most 63")
        if len(self.given()) != 2:
            raise ValueError(
                "name one kind: configMap, secret, emptyDir, persistentVolumeClaim, hostPath, nfs, csi or projected"
            )
        return self


class VolumeMount(Part):
    """core/v1 VolumeMount."""

    name: Text
    mount_path: Annotated[str, Field(min_length=2, max_length=1024)]
    sub_path: Text | None = None
    sub_path_expr: Text | None = None
    read_only: bool | None = None
    mount_propagation: Literal["None", "HostToContainer"] | None = None

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        if not self.mount_path.startswith("/") or ":" in self.mount_path:
            raise ValueError("mountPath must be an absolute path without a colon")
        path = "/" + posixpath.normpath(self.mount_path).lstrip("/")
        inside = [own for own in _OWN_PATHS if f"{path}/".startswith(f"{own}/") or f"{own}/".startswith(f"{path}/")]
        if inside or path == "/":
            raise ValueError(f"mountPath {self.mount_path} would cover {inside[0] if inside else 'the whole image'}")
        below = self.sub_path or self.sub_path_expr or ""
        if below.startswith("/") or ".." in below.split("/"):
            raise ValueError("subPath must be relative and without ..")
        if self.sub_path and self.sub_path_expr:
            raise ValueError("subPath and subPathExpr exclude each other")
        return self


class Resources(Part):
    """core/v1 ResourceRequirements of CPU, memory and ephemeral storage."""

    requests: dict[str, Amount] = Field(default_factory=dict)
    limits: dict[str, Amount] = Field(default_factory=dict)

    @field_validator("requests", "limits")
    @classmethod
    def _knows(cls, amounts: dict[str, str]) -> dict[str, str]:
        foreign = sorted(set(amounts) - set(_RESOURCES))
        if foreign:
            raise ValueError(
                f"{', '.join(foreign)} cannot be set here: only {', '.join(_RESOURCES)}; GPUs are the operator's, see spec.gpu"
            )
        return amounts

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        for name in sorted(self.requests.keys() & self.limits.keys()):
            if parse_quantity(self.requests[name]) > parse_quantity(self.limits[name]):
                raise ValueError(f"requests.{name} is above limits.{name}")
        return self
