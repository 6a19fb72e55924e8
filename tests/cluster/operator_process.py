"""The operator as users run it: a process that has the chart's ServiceAccount token and its RBAC, and nothing else.

The Hub is switched off unless a test points the operator at one on loopback; the API server may be put behind a `FaultProxy`.
"""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from installation import Installation
from localcluster import LocalCluster, wait_for
from localcluster.client import ApiError
from localcluster.commands import LOOPBACK

# A cold start on a machine that tests run on takes two seconds.
START_SECONDS = 30.0
STOP_SECONDS = 20.0
# The garbage collector looks for new kinds every 30 s, a fresh cluster has just got ours, and what it then finds it has to list first.
PATIENCE_SECONDS = 120.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PYTHON_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR")


class OperatorProcess:
    """One operator process; a context manager that stops it.

    Args:
        installation: CRD, ServiceAccount and RBAC in a cluster.
        name: of the replica.
        server: URL of a proxy before the API server.
        settings: of the operator, by environment name without MODELSERVING_.
    """

    def __init__(
        self,
        installation: Installation,
        name: str = "operator",
        server: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        cluster = installation.cluster
        self.log = cluster.directory / f"{name}-{uuid4().hex[:8]}.log"
        kubeconfig = cluster.service_account_kubeconfig(installation.namespace, installation.account, server)
        given = {
            "NAMESPACE": installation.namespace,
            "IDENTITY": name,
            "HTTP_HOST": LOOPBACK,
            "HTTP_PORT": "0",
            "HUB_ENABLED": "false",
            **(settings or {}),
        }
        environment = {key: os.environ[key] for key in _PYTHON_VARIABLES if key in os.environ}
        environment |= installation.environment | {f"MODELSERVING_{key}": value for key, value in given.items()}
        # Warnings of Python's own are errors here too.
        environment |= {"KUBECONFIG": str(kubeconfig), "PYTHONWARNINGS": "error"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modelserving", "operator"],
                env=environment,
                cwd=cluster.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  the child only calls prctl
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"the operator's log ends with:\n{self.said(30)}")
        if error is not None:
            self.kill()
        else:
            self.stop()

    def wait_ready(self, word: str = "leading") -> Self:
        """Wait until /readyz says the word: `leading` or `standby`."""
        wait_for(lambda: self.ask("/readyz") == word, START_SECONDS, f"/readyz of the operator to say {word}")
        return self

    def ask(self, path: str) -> str:
        """What the operator's HTTP server answers; empty where it does not."""
        assert self.process.poll() is None, f"the operator ended with {self.process.returncode}:\n{self.said(30)}"
        listening = re.search(rf"listening on {LOOPBACK}:(\d+)", self.said())
        if listening is None:
            return ""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{LOOPBACK}:{listening[1]}{path}", timeout=5) as answer:
                return str(answer.read().decode()).strip()
        except OSError:
            return ""

    def metric(self, pattern: str) -> float:
        """Sum of the metrics whose lines begin so."""
        lines = re.findall(rf"^modelserving_operator_{pattern}.* (\S+)$", self.ask("/metrics"), re.MULTILINE)
        return sum(map(float, lines))

    def said(self, lines: int = 1000) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> int:
        """Ask it to end as Kubernetes does, and return its exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Servings:
    """ModelServings of one namespace, and what was made of them.

    Attributes:
        cluster: where.
        namespace: which.
    """

    cluster: LocalCluster
    namespace: str

    def create(self, name: str, model: str = "Qwen/Qwen2.5-0.5B-Instruct", **spec: Any) -> dict[str, Any]:
        """Create one."""
        manifest = {
            "apiVersion": "modelserving.dev/v1alpha1",
            "kind": "ModelServing",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"model": model, **spec},
        }
        created: dict[str, Any] = self.cluster.request("POST", self._path("modelservings"), manifest)
        return created

    def change(self, name: str, kind: str = "modelservings", **fields: Any) -> dict[str, Any]:
        """Merge fields (`spec=…`, `metadata=…`) into one, or into a Deployment or Service."""
        path, body = f"{self._path(kind)}/{name}", fields
        changed: dict[str, Any] = self.cluster.request("PATCH", path, body, "application/merge-patch+json")
        return changed

    def delete(self, name: str, kind: str = "modelservings") -> None:
        """Delete one, or a Deployment or Service; those who depend on it follow."""
        self.cluster.request("DELETE", f"{self._path(kind)}/{name}", {"propagationPolicy": "Background"})

    def get(self, name: str, kind: str = "modelservings") -> dict[str, Any]:
        """Read one, or a Deployment or Service; empty where there is none."""
        try:
            found: dict[str, Any] = self.cluster.request("GET", f"{self._path(kind)}/{name}")
        except ApiError as error:
            if error.status == 404:
                return {}
            raise
        return found

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Read all of a kind."""
        return list(self.cluster.request("GET", self._path(kind))["items"])

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition, if it is about the spec as it is now."""
        found = self.get(name)
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] == kind and condition["observedGeneration"] == found["metadata"]["generation"]:
                return condition["status"], condition["reason"], condition["message"]
        return "", "", ""

    def wait(self, name: str, kind: str, reason: str, timeout: float = PATIENCE_SECONDS) -> str:
        """Wait until a condition has a reason; returns its message."""

        def holds() -> tuple[str, str, str]:
            status, found, message = self.condition(name, kind)
            assert found == reason, f"{kind}={status} {found}: {message}"
            return status, found, message

        return wait_for(holds, timeout, f"{kind} of {name} to be {reason}")[2]

    def wait_ready(self, name: str) -> dict[str, Any]:
        """Wait until pods answer and nothing is under way; returns the resource."""
        self.wait(name, "Available", "PodsReady")
        self.wait(name, "Progressing", "RolledOut")
        return self.get(name)

    def wait_gone(self, name: str, kind: str = "modelservings") -> None:
        """Wait until there is none of that name."""
        wait_for(lambda: not self.get(name, kind), PATIENCE_SECONDS, f"{kind} {name} to be gone")

    def events(self, name: str) -> set[tuple[str, str]]:
        """Type and reason of the events on one."""
        return {
            (event["type"], event["reason"])
            for event in self.all("events")
            if event["involvedObject"]["kind"] == "ModelServing" and event["involvedObject"]["name"] == name
        }

    def _path(self, kind: str) -> str:
        group = {"modelservings": "/apis/modelserving.dev/v1alpha1", "deployments": "/apis/apps/v1"}
        group["replicasets"] = "/apis/apps/v1"
        return f"{group.get(kind, '/api/v1')}/namespaces/{self.namespace}/{kind}"


def writes(installation: Installation, since: datetime | None = None, namespace: str = "") -> list[str]:
    """What the operator wrote, Leases left out: `patch deployments/llava 201`."""
    return [
        f"{event['verb']} {_written(event)} {event['responseStatus']['code']}"
        for event in installation.cluster.audit_events(since, installation.user, writes_only=True)
        if event["objectRef"]["resource"] != "leases" and namespace in ("", event["objectRef"].get("namespace"))
    ]


def object_writes(installation: Installation, since: datetime | None = None, namespace: str = "") -> list[str]:
    """What the operator wrote, Leases and events left out."""
    return [write for write in writes(installation, since, namespace) if not write.startswith("create events")]


def quiet(installation: Installation, seconds: float, now: Callable[[], datetime], namespace: str = "") -> list[str]:
    """What the operator wrote within a while from now."""
    begun = now()
    wait_for(lambda: (now() - begun).total_seconds() >= seconds, seconds + 10, "the time to pass")
    return writes(installation, begun, namespace)


def _written(event: Mapping[str, Any]) -> str:
    reference = event["objectRef"]
    parts = (reference["resource"], reference.get("name", ""), reference.get("subresource", ""))
    return "/".join(part for part in parts if part)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def sample(name: str) -> dict[str, Any]:
    """The spec of one of the samples in deploy/samples."""
    import yaml

    file = Path(__file__).parents[2] / "deploy" / "samples" / f"{name}.yaml"
    spec: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
    return json.loads(json.dumps(spec))  # type: ignore[no-any-return]
