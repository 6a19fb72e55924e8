"""The floor of this machine: the same measurements of an operator that does as good as nothing (`floor_operator`).

Clocks of one machine at different hours, and of different machines, differ by a factor of two: figures of milliseconds say
something beside the floor that was measured in the same minutes.
"""

from collections.abc import Iterator
from pathlib import Path

from bench import measures
from bench.figures import Figure
from bench.stage import Stage
from bench.trail import Trail
from installation import Installation
from localcluster import LocalCluster
from localcluster.commands import LOOPBACK

OPERATOR = Path(__file__).with_name("floor_operator.py")


def floor(nodes: str, singles: int, burst: int, idle_seconds: float) -> Iterator[Figure]:
    """Measure it on a cluster of its own; `Figure.ours` is the floor's."""
    with LocalCluster.start(nodes=[nodes]) as cluster:
        installation = Installation.install(cluster, _kopf_run)
        # kopf writes its notes into annotations of the resource, which the operator has no right to.
        account = f"{installation.namespace}:{installation.account}"
        cluster.kubectl(
            "create", "clusterrolebinding", "floor", "--clusterrole=cluster-admin", f"--serviceaccount={account}"
        )
        stage = Stage(cluster, installation, installation.start(), Trail(cluster.audit_log))
        try:
            yield measures.idle_memory(stage)
            yield from measures.one_at_a_time(stage, singles)
            yield from measures.burst(stage, burst)
            yield from measures.after_restart(stage, idle_seconds)
        finally:
            stage.operator.stop()


def _kopf_run(port: int) -> list[str]:
    return ["-m", "kopf", "run", "--all-namespaces", f"--liveness=http://{LOOPBACK}:{port}/readyz", str(OPERATOR)]
