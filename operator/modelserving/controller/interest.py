"""Which resources care for what: whom a change of nodes or a freed name concerns."""

from collections.abc import Iterable

from modelserving.cluster.snapshot import NodeFacts


class Interests:
    """What each key waits for, or stands on."""

    def __init__(self) -> None:
        self._wants_nodes: set[str] = set()
        self._wants_name: set[str] = set()
        self._products: dict[str, str] = {}

    def note(self, key: str, *, wants_nodes: bool, wants_name: bool, product: str) -> None:
        """Take what the last look at a key led to.

        Args:
            key: `namespace/name`.
            wants_nodes: other nodes could change the outcome.
            wants_name: another object has the name it needs.
            product: GPU product its workload runs on; empty where nothing runs.
        """
        self.forget(key)
        if wants_nodes:
            self._wants_nodes.add(key)
        if wants_name:
            self._wants_name.add(key)
        if product:
            self._products[key] = product

    def forget(self, key: str) -> None:
        """Drop a key."""
        self._wants_nodes.discard(key)
        self._wants_name.discard(key)
        self._products.pop(key, None)

    def of_nodes(self, *nodes: NodeFacts | None) -> Iterable[str]:
        """Keys that a change between these pictures of one node may concern."""
        touched = {product for node in nodes if node is not None for product in node.products}
        return self._wants_nodes | {key for key, product in self._products.items() if product in touched}

    def of_quota(self, namespace: str) -> Iterable[str]:
        """Keys of a namespace for which more GPUs could be had."""
        return {key for key in self._wants_nodes if key.startswith(f"{namespace}/")}

    def of_name(self, namespace: str) -> Iterable[str]:
        """Keys of a namespace that wait for a name."""
        return {key for key in self._wants_name if key.startswith(f"{namespace}/")}
