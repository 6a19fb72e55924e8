"""Asks the API server as the cluster's administrator, without the tenth of a second that a start of kubectl takes."""

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from localcluster.errors import LocalClusterError


class ApiError(LocalClusterError):
    """The API server refused a request.

    Attributes:
        status: the HTTP status, or 0 where no answer came.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ApiClient:
    """One JSON request, one connection."""

    def __init__(self, url: str, pki: Path) -> None:
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._url = url
        # An empty ProxyHandler: what HTTPS_PROXY says is not for 127.0.0.1.
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def request(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        """Send a request and return the decoded answer, or its text where it is not JSON.

        Raises:
            ApiError: the answer's status is 400 or more, or none came.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": content_type}
        request = urllib.request.Request(self._url + path, data=data, method=method, headers=headers)
        try:
            with self._opener.open(request, timeout=30) as response:
                raw: bytes = response.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                text = refusal.read().decode(errors="replace")
            raise ApiError(refusal.code, f"{method} {path}: {refusal.code} {_message(text)}") from None
        except OSError as failure:
            raise ApiError(0, f"{method} {path}: {failure}") from failure
        try:
            return json.loads(raw)
        except ValueError:
            return raw.decode(errors="replace")

    def ready(self) -> bool:
        """Return whether the API server says that it is ready."""
        try:
            return bool(self.request("GET", "/readyz") == "ok")
        except ApiError:
            return False


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()
