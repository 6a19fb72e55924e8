"""The kinds of objects the operator deals with, and where the API server keeps them."""

from dataclasses import dataclass

from modelserving.api.modelserving import API_VERSION, KIND, PLURAL


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object.

    Attributes:
        api_version: `v1` or `group/version`.
        kind: as manifests say it.
        plural: as paths say it.
        namespaced: whether its objects live in namespaces.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path on the API server; without a namespace: of the whole cluster, without a name: of the collection."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + "".join(f"/{part}" for part in (name, subresource) if part)


MODELSERVINGS = Resource(API_VERSION, KIND, PLURAL)
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
SERVICES = Resource("v1", "Service", "services")
NODES = Resource("v1", "Node", "nodes", namespaced=False)
PODS = Resource("v1", "Pod", "pods")
QUOTAS = Resource("v1", "ResourceQuota", "resourcequotas")
SECRETS = Resource("v1", "Secret", "secrets")
CONFIGMAPS = Resource("v1", "ConfigMap", "configmaps")
EVENTS = Resource("v1", "Event", "events")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")

# Versions that ResourceSlices have had, the newest first; clusters without DRA serve none of them.
SLICES = tuple(
    Resource(f"resource.k8s.io/{version}", "ResourceSlice", "resourceslices", namespaced=False)
    for version in ("v1", "v1beta2", "v1beta1")
)

# What a ModelServing is rendered into, by kind.
CHILDREN = {resource.kind: resource for resource in (DEPLOYMENTS, SERVICES)}


def key_of(namespace: str, name: str) -> str:
    """Name a ModelServing the way queue, cache and plans do: `namespace/name`."""
    return f"{namespace}/{name}"
