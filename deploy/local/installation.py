"""The operator on a local cluster: installed from the plain manifests, run as a process of this machine.

The process has what the pod would have and nothing else: the token of the manifests' ServiceAccount, and the environment of the
manifests' container. Only where it listens differs: on loopback. The Hub is switched off; the bundled catalogue answers.
"""

import ctypes
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from localcluster import ApiError, LocalCluster, LocalClusterError, wait_for
from localcluster.commands import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "deploy" / "operator.yaml"
CRD = ROOT / "crds" / "modelservings.modelserving.dev.yaml"
READY_SECONDS = 60.0
STOP_SECONDS = 20.0
LOG_LINES_SHOWN = 20
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# What Python itself needs of this machine's environment; everything else stays out.
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


def _operator(_port: int) -> list[str]:
    """Arguments of the Python that runs the operator; where it listens is in its environment."""
    return ["-m", "modelserving", "operator"]


@dataclass(frozen=True)
class Installation:
    """The operator's objects in a cluster, its Deployment left out: the process here takes its place.

    Attributes:
        cluster: where.
        namespace: of the operator.
        account: its ServiceAccount.
        environment: of its container, values that come from elsewhere left out.
        command: given a port to answer `/readyz` on, arguments of the Python that runs it.
    """

    cluster: LocalCluster
    namespace: str
    account: str
    environment: dict[str, str] = field(default_factory=dict)
    command: Callable[[int], list[str]] = _operator

    @classmethod
    def install(cls, cluster: LocalCluster, command: Callable[[int], list[str]] = _operator) -> Self:
        """Apply CRD, namespace, ServiceAccount and RBAC, and wait until the API serves the new kind."""
        documents = [document for document in yaml.safe_load_all(MANIFESTS.read_text()) if document]
        deployment = next(each for each in documents if each["kind"] == "Deployment")
        namespace = deployment["metadata"]["namespace"]
        if not any(each["kind"] == "Namespace" for each in documents):
            documents.insert(0, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        cluster.apply(CRD)
        cluster.apply([each for each in documents if each["kind"] not in ("Deployment", "CustomResourceDefinition")])
        cluster.kubectl("wait", "--for=condition=Established", "crd/modelservings.modelserving.dev", "--timeout=30s")
        # Established is said a moment before the storage of the kind is there: until then every LIST is answered with 429.
        wait_for(lambda: _serves(cluster), READY_SECONDS, "the API server to serve ModelServings")
        pod = deployment["spec"]["template"]["spec"]
        return cls(cluster, namespace, pod["serviceAccountName"], _environment(pod["containers"][0]), command)

    @property
    def user(self) -> str:
        """Name under which the audit log knows the operator."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    def start(self, name: str = "operator") -> "OperatorProcess":
        """Start the operator and wait until it is ready."""
        return OperatorProcess(self, name).wait_ready()


class OperatorProcess:
    """One operator process; stop it with `stop`, or let it end with the process that started it."""

    def __init__(self, installation: Installation, name: str = "operator") -> None:
        """Start the process; `wait_ready` waits for it."""
        cluster = installation.cluster
        self.port = free_port()
        self.log = cluster.directory / f"{name}.log"
        kubeconfig = cluster.service_account_kubeconfig(installation.namespace, installation.account)
        environment = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
        environment |= installation.environment | {
            "KUBECONFIG": str(kubeconfig),
            "MODELSERVING_NAMESPACE": installation.namespace,
            "MODELSERVING_IDENTITY": name,
            "MODELSERVING_HTTP_HOST": LOOPBACK,
            "MODELSERVING_HTTP_PORT": str(self.port),
            "MODELSERVING_HUB_ENABLED": "false",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *installation.command(self.port)],
                env=environment,
                cwd=cluster.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal is for the parent, which stops things in order.
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  the parent has no threads yet, and the child only calls prctl
            )

    def wait_ready(self) -> Self:
        """Wait until `/readyz` says so.

        Raises:
            LocalClusterError: the process ended, or is not ready in time; the message holds the end of its log.
        """
        wait_for(self._is_ready, READY_SECONDS, "the operator's /readyz")
        return self

    def _is_ready(self) -> bool:
        self.check()
        try:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://{LOOPBACK}:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def check(self) -> bool:
        """Return true while the process runs.

        Raises:
            LocalClusterError: it did; the message holds the end of its log.
        """
        if (code := self.process.poll()) is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
            raise LocalClusterError(f"the operator ended with {code}:\n" + "\n".join(lines))
        return True

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _serves(cluster: LocalCluster) -> bool:
    try:
        cluster.request("GET", "/apis/modelserving.dev/v1alpha1/modelservings")
    except ApiError:
        return False
    return True


def _environment(container: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
