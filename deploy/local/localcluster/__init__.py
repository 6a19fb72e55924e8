"""A real Kubernetes control plane on one machine, with nodes that pretend to hold GPUs.

    from localcluster import LocalCluster, node_set

    with LocalCluster.start(nodes=[node_set("mixed")]) as cluster:
        print(cluster.kubectl("get", "nodes"))

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are the real programs; kwok plays the kubelets. Linux only,
no root, no container runtime, nothing beyond Python's standard library. From a shell: `python -m localcluster --help`.
"""

from localcluster.client import ApiError
from localcluster.controlplane import LocalCluster, Usage, usage
from localcluster.errors import LocalClusterError
from localcluster.nodes import many_nodes, node_set, node_set_names
from localcluster.waiting import wait_for
from localcluster.wheels import helm

__all__ = [
    "ApiError",
    "LocalCluster",
    "LocalClusterError",
    "Usage",
    "helm",
    "many_nodes",
    "node_set",
    "node_set_names",
    "usage",
    "wait_for",
]
