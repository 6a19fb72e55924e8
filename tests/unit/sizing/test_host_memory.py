"""Host memory of a replica."""

from modelserving.sizing.host_memory import host_memory
from modelserving.units import GIB


def test_workers_and_offloaded_weights_add_up() -> None:
    assert host_memory(ranks=4, pinned=10 * GIB, largest_module=GIB) == (1 + 4 * 4 + 10) * GIB
