"""What the cluster has at one moment: an immutable picture that plans are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from modelserving.cluster.declared import DeclaredShape
from modelserving.cluster.facts import GpuDevice, NodeFacts, PodRequests, Taint
from modelserving.cluster.pools import Pools
from modelserving.cluster.quotas import Quota

__all__ = ["ClusterSnapshot", "GpuDevice", "NodeFacts", "PodRequests", "Taint"]


@dataclass(frozen=True)
class ClusterSnapshot:
    """Nodes, the pods bound to them, and what bounds both.

    Attributes:
        nodes: every node, by whatever order.
        pods: pods bound to them, and those that are assumed to be soon.
        declared: shapes of node that an autoscaler can make.
        quotas: of all namespaces.
        prices: price of one GPU for one hour, by product.
        kept: the pools of these nodes and pods, where somebody keeps them from one snapshot to the next.
    """

    nodes: tuple[NodeFacts, ...] = ()
    pods: tuple[PodRequests, ...] = ()
    declared: tuple[DeclaredShape, ...] = ()
    quotas: tuple[Quota, ...] = ()
    prices: Mapping[str, float] = field(default_factory=dict)
    kept: Pools | None = field(default=None, compare=False, repr=False)

    @cached_property
    def pools(self) -> Pools:
        """The nodes in pools: made once, and asked at every plan."""
        return self.kept if self.kept is not None else Pools.of(self.nodes, self.pods)
