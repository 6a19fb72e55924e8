"""The only place that reads environment variables: settings, and where the API server is."""

import os
import socket
from collections.abc import Mapping

from pydantic import ValidationError

from modelserving.errors import SettingsError
from modelserving.kube.connection import pod_namespace
from modelserving.settings import ENVIRONMENT_PREFIX, Settings


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the operator's settings from MODELSERVING_* variables.

    Raises:
        SettingsError: a variable is unknown, or its value is wrong; the message names each.
    """
    given = os.environ if environment is None else environment
    values: dict[str, str] = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in given.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    if "namespace" not in values and (namespace := pod_namespace()):
        values["namespace"] = namespace
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(dict(detail)) for detail in error.errors(include_url=False))) from error


def read_kubeconfig(environment: Mapping[str, str] | None = None) -> str:
    """Path of the kubeconfig to use; empty inside a pod, where its ServiceAccount is used."""
    given = os.environ if environment is None else environment
    if given.get("KUBECONFIG"):
        return given["KUBECONFIG"]
    return "" if given.get("KUBERNETES_SERVICE_HOST") else os.path.expanduser("~/.kube/config")


def own_identity(settings: Settings) -> str:
    """Name of this replica in the Lease: the pod's name, which is its host name."""
    return settings.identity or f"{socket.gethostname()}-{os.getpid()}"


def _sentence(detail: dict[str, object]) -> str:
    location = detail["loc"]
    name, *path = location if isinstance(location, tuple) and location else ("",)
    variable = ENVIRONMENT_PREFIX + str(name).upper() + "".join(_step(part) for part in path)
    if detail["type"] == "extra_forbidden" and not path:
        return f"{variable}: there is no such setting"
    return f"{variable}: {detail['msg']}; got {detail['input']!r}"


def _step(part: object) -> str:
    return f"[{part}]" if isinstance(part, int) else f".{part}"
