"""Starts, asks and stops one local cluster."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from localcluster import audit, commands
from localcluster.cache import cache_root
from localcluster.client import ApiClient
from localcluster.errors import LocalClusterError
from localcluster.supervisor import Supervisor, tail
from localcluster.toolchain import programs
from localcluster.waiting import wait_for

KWOK = Path(__file__).with_name("kwok")
START_SECONDS = 90.0
"""Takes 3 s on an idle machine of two cores; this is for machines that compile something beside it."""
TOKEN_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Usage:
    """What one program of a cluster uses: bytes, and seconds of processor time since it was started."""

    resident: int
    peak: int
    anonymous: int
    cpu_seconds: float


class LocalCluster:
    """A running control plane on 127.0.0.1, with random ports and throw-away certificates in a folder of its own.

    Use it as a context manager, or call `stop()`. When the process that started it ends, however it ends, the cluster is
    stopped too. Several run side by side.

    Pods exist, are scheduled and become ready, but nothing runs in them and nothing answers at their addresses: never send
    anything to a pod's address. What a pod pretends to do is chosen by annotations; see `kwok/pod-stages.yaml`.

    Attributes:
        directory: logs (`kube-apiserver.log`, ...), certificates (`pki/`), the audit log. Removed by `stop()`.
        url: of the API server.
        kubeconfig: the administrator's.
        ca: certificate of the authority that signed the API server's certificate.
        audit_log: writes of everybody, reads of service accounts; `audit_events()` reads it.
    """

    def __init__(self, directory: Path, executables: Mapping[str, Path]) -> None:
        """Prepare a cluster in an empty folder; `start` is what callers want."""
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"
        self.audit_log = directory / "audit.log"
        self.pki = directory / "pki"
        self.ca = self.pki / "ca.crt"
        self._ports = commands.free_ports()
        self.url = f"https://{commands.LOOPBACK}:{self._ports.apiserver}"
        self._executables = executables
        self._supervisor = Supervisor(directory)
        self._apiserver: list[str] = []
        self._stopped = False

    @classmethod
    def start(
        cls,
        nodes: Iterable[Path | str] = (),
        name: str | None = None,
        audit: bool = True,
        kwok: bool = True,
        apiserver_args: Sequence[str] = (),
    ) -> Self:
        """Start a cluster and wait until its API server, its controllers and its nodes are ready.

        The first call on a machine compiles the control plane (`toolchain.py`), which takes minutes and says so.

        Args:
            nodes: manifests of nodes, each a file (`nodes.node_set`) or YAML text (`nodes.many_nodes`).
            name: the folder's name below `~/.cache/modelserving/local/run`; without one it is a fresh temporary folder.
            audit: whether to keep an audit log.
            kwok: whether somebody plays the kubelets; without, nodes and pods never become ready.
            apiserver_args: more flags for kube-apiserver.

        Raises:
            LocalClusterError: it cannot be built or does not come up (the folder with the logs is then kept), or one of
                that name runs already.
        """
        cluster = cls(_new_directory(name), programs())
        try:
            cluster._start_programs(audit, kwok, apiserver_args)
            cluster.add_nodes(*nodes, wait=kwok)
        except BaseException as failure:
            cluster._supervisor.close(remove=not isinstance(failure, LocalClusterError))
            cluster._stopped = True
            if isinstance(failure, LocalClusterError):
                failure.add_note(f"The logs are in {cluster.directory}")
            raise
        return cluster

    def _start_programs(self, audit_log: bool, kwok: bool, apiserver_args: Sequence[str]) -> None:
        command = [str(self._executables["pki"]), "-dir", str(self.pki), "-server", self.url]
        subprocess.run(command, check=True, capture_output=True)
        shutil.copy(self.pki / "admin.kubeconfig", self.kubeconfig)
        self._client = ApiClient(self.url, self.pki)
        policy = audit.POLICY if audit_log else None
        self._apiserver = commands.kube_apiserver(self.pki, self._ports, policy, self.audit_log, apiserver_args)
        self._run("etcd", commands.etcd(self.directory, self._ports))
        self.start_apiserver()
        # Not before the API server is ready: the scheduler would wait out a retry.
        self._run("kube-controller-manager", commands.kube_controller_manager(self.directory, self.pki, self._ports))
        self._run("kube-scheduler", commands.kube_scheduler(self.directory, self.pki, self._ports))
        if kwok:
            shutil.copy(KWOK / "pod.log", self.directory)
            configuration = [KWOK / name for name in ("kwok.yaml", "node-stages.yaml", "pod-stages.yaml")]
            self._run("kwok", commands.kwok(self.pki, self._ports, configuration))
        self._wait(
            lambda: bool(self._items("/api/v1/namespaces/default/serviceaccounts")), "the default ServiceAccount"
        )
        state = {"pid": os.getpid(), "programs": self._supervisor.pids(), "supervisor": self._supervisor.pid}
        (self.directory / "state.json").write_text(json.dumps(state))

    def _run(self, program: str, flags: Sequence[str]) -> None:
        self._supervisor.start(program, [str(self._executables[program]), *flags])

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        # `pids` raises, with the end of its log, once a program has ended.
        try:
            wait_for(lambda: self._supervisor.pids() and condition(), START_SECONDS, what)
        except LocalClusterError as failure:
            failure.add_note(tail(self.directory / "kube-apiserver.log"))
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop every program in order and remove the folder. Calling it again does nothing."""
        if not self._stopped:
            self._stopped = True
            self._supervisor.close()

    def wait(self) -> None:
        """Wait until somebody else stops the cluster (`python -m localcluster down`)."""
        self._supervisor.wait()

    def stop_apiserver(self) -> None:
        """Kill the API server alone, as in a crash; `start_apiserver` brings it back."""
        self._supervisor.kill("kube-apiserver")

    def start_apiserver(self) -> None:
        """Start the API server on the port it always had, with the data it had, and wait until it is ready."""
        self._run("kube-apiserver", self._apiserver)
        self._wait(self._client.ready, "the API server's /readyz")

    def restart_apiserver(self) -> None:
        """Kill and start the API server; every connection and every watch breaks."""
        self.stop_apiserver()
        self.start_apiserver()

    def kubectl(self, *args: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002
        """Run kubectl as the administrator.

        Args:
            args: its arguments.
            input: its standard input.
            check: whether a failure raises.

        Returns:
            Its standard output; without `check`, followed by its standard error.

        Raises:
            LocalClusterError: it failed, and `check` is true.
        """
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        # kubectl keeps what it discovered for hours under host and port, and another cluster may get our port.
        environment |= {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.directory / "kubectl")}
        command = [str(self._executables["kubectl"]), *args]
        done = subprocess.run(command, check=False, input=input or "", capture_output=True, text=True, env=environment)
        if check and done.returncode != 0:
            raise LocalClusterError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout if check else done.stdout + done.stderr

    def request(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        """Ask the API server as the administrator, without a process: `request("GET", "/api/v1/nodes")["items"]`.

        Raises:
            ApiError: it refused (`status` says how), or did not answer (`status` is 0).
        """
        return self._client.request(method, path, body, content_type)

    def _items(self, path: str) -> list[dict[str, Any]]:
        return list(self.request("GET", path)["items"])

    def apply(self, manifests: Path | str | Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> str:
        """Server-side apply manifests with kubectl, and return what it prints.

        Args:
            manifests: a file or a folder, YAML or JSON text, one object, or several.
        """
        return self._hand_over(manifests, "apply", "--server-side")

    def add_nodes(self, *nodes: Path | str, wait: bool = True) -> None:
        """Create nodes (files, or YAML text) with their status as given, and wait until all nodes are ready.

        Later changes of what a node offers go to its status: `kubectl("patch", "node", NAME, "--subresource=status", ...)`.
        """
        for manifests in nodes:
            self._hand_over(manifests, "create")
        if wait:
            self._wait(lambda: all(map(_is_ready, self._items("/api/v1/nodes"))), "all nodes Ready")

    def _hand_over(self, manifests: Path | str | Mapping[str, Any] | Iterable[Mapping[str, Any]], *verb: str) -> str:
        if isinstance(manifests, Path):
            return self.kubectl(*verb, "-f", str(manifests))
        if isinstance(manifests, str):
            return self.kubectl(*verb, "-f", "-", input=manifests)
        items = [manifests] if isinstance(manifests, Mapping) else list(manifests)
        document = {"apiVersion": "v1", "kind": "List", "items": items}
        return self.kubectl(*verb, "-f", "-", input=json.dumps(document))

    def service_account_kubeconfig(self, namespace: str, name: str, server: str | None = None) -> Path:
        """Write and return a kubeconfig that holds nothing but the token of a ServiceAccount, good for a day.

        Args:
            namespace: of the ServiceAccount, and the default of whoever uses the file.
            name: of the ServiceAccount, which must exist.
            server: another URL than the API server's, for a proxy whose certificate our authority signed.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        answer = self.request("POST", path, {**request, "spec": {"expirationSeconds": TOKEN_SECONDS}})
        authority = base64.b64encode(self.ca.read_bytes()).decode()
        cluster = {"server": server or self.url, "certificate-authority-data": authority}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "localcluster",
            "clusters": [{"name": "localcluster", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": answer["status"]["token"]}}],
            "contexts": [
                {"name": "localcluster", "context": {"cluster": "localcluster", "user": name, "namespace": namespace}}
            ],
        }
        descriptor, file = tempfile.mkstemp(prefix=f"{name}-", suffix=".kubeconfig", dir=self.directory)
        with os.fdopen(descriptor, "w") as out:
            json.dump(config, out)
        return Path(file)

    def audit_events(
        self, since: datetime | None = None, user: str | None = None, writes_only: bool = False
    ) -> list[dict[str, Any]]:
        """Return the audit log's events, oldest first; see `audit.audit_events`."""
        return audit.audit_events(self.audit_log, since, user, writes_only)

    def pids(self) -> dict[str, int]:
        """Return the process id of each program."""
        return self._supervisor.pids()

    def rss(self) -> dict[str, Usage]:
        """Return what each program uses now. The five share one executable, whose pages `resident` counts five times."""
        return {name: usage(pid) for name, pid in self.pids().items()}


def usage(pid: int) -> Usage:
    """Return what a process uses, from `/proc`."""
    process = Path("/proc") / str(pid)
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    size = {key: int(fields[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM", "RssAnon")}
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    ticks = os.sysconf("SC_CLK_TCK")
    return Usage(size["VmRSS"], size["VmHWM"], size["RssAnon"], (int(user) + int(system)) / ticks)


def run_directory(name: str) -> Path:
    """Return the folder of the cluster called `name`, running or not."""
    return cache_root() / "run" / name


def _new_directory(name: str | None) -> Path:
    if name is None:
        return Path(tempfile.mkdtemp(prefix="localcluster-"))
    directory = run_directory(name)
    state = directory / "state.json"
    if state.exists() and (Path("/proc") / str(json.loads(state.read_text())["supervisor"])).exists():
        raise LocalClusterError(f"a local cluster called {name!r} runs already, in {directory}")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
