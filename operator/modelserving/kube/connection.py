"""How the API server is reached: the pod's ServiceAccount, or a kubeconfig; tokens that rotate are read again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from modelserving.errors import SettingsError

# Key under which the kubernetes package keeps the value of the Authorization header.
_BEARER = "BearerToken"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What it takes to reach the API server with another client than ours, at this moment.

    Attributes:
        server: URL.
        ca_path: file with the authority's certificate; None: the system's.
        token: bearer token without the word bearer; None where certificates do it.
        certificate_path: client certificate.
        private_key_path: its key.
        insecure: whether the server's certificate is not checked.
    """

    server: str
    ca_path: str | None
    token: str | None
    certificate_path: str | None
    private_key_path: str | None
    insecure: bool


class Connection:
    """A configuration of the kubernetes package, and how to read it again.

    Args:
        load: fills a fresh configuration.
    """

    def __init__(self, load: Callable[[Configuration], Awaitable[None]]) -> None:
        self._load = load
        self.configuration = Configuration()

    async def open(self) -> None:
        """Read the credentials for the first time.

        Raises:
            SettingsError: there are none, or they cannot be read.
        """
        try:
            await self._load(self.configuration)
        except (ConfigException, OSError, ValueError) as error:
            raise SettingsError(
                f"no way to reach a Kubernetes API server: {error}; run inside a pod with a ServiceAccount, or set KUBECONFIG"
            ) from error
        # Requests of all workers and watches share one pool.
        self.configuration.connection_pool_maxsize = 64
        # Else aiohttp looks for proxies and .netrc in a thread of its own, twice a request: a millisecond each time. A proxy that
        # the kubeconfig names is used all the same.
        self.configuration.client_session_kwargs = {"trust_env": False}

    async def authorization(self) -> str | None:
        """Value of the Authorization header now; the kubernetes package reads a rotated token again."""
        value: str | None = await self.configuration.get_api_key_with_prefix(_BEARER)
        return value

    async def renew(self) -> None:
        """Read the credentials again, after the API server refused them."""
        fresh = Configuration()
        await self._load(fresh)
        self.configuration.api_key = fresh.api_key

    async def credentials(self) -> Credentials:
        """The credentials as they are now."""
        header = await self.authorization()
        configuration = self.configuration
        return Credentials(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            token=header.split(" ", 1)[-1] if header else None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            insecure=not configuration.verify_ssl,
        )


def connection(kubeconfig: str) -> Connection:
    """Choose how to reach the API server.

    Args:
        kubeconfig: path of a kubeconfig; empty: the ServiceAccount of this pod.
    """

    async def from_file(configuration: Configuration) -> None:
        await load_kube_config(config_file=kubeconfig, client_configuration=configuration)

    async def from_pod(configuration: Configuration) -> None:
        load_incluster_config(client_configuration=configuration)

    return Connection(from_file if kubeconfig else from_pod)


def pod_namespace() -> str:
    """Namespace of the pod this process runs in; empty outside of one."""
    try:
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
