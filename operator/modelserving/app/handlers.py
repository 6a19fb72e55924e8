"""What kopf delivers, and how: ModelServings and nodes, event by event, into the cache and the queue. Nothing else happens here.

Of kopf only `on.event` is used. Its change handlers lose updates, its timers and daemons need finalizers and die silently, its
indexes keep what was deleted while a watch was down; a queue of our own does their work (docs/architecture.md).
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf

from modelserving.api.modelserving import GROUP, PLURAL, VERSION
from modelserving.controller.delivery import Delivery
from modelserving.kube.connection import Credentials

# Tokens of ServiceAccounts rotate within the hour; the file is read again long before.
CREDENTIALS_SECONDS = 300


def registry(delivery: Delivery, credentials: Callable[[], Awaitable[Credentials]]) -> kopf.OperatorRegistry:
    """Register the handlers.

    Args:
        delivery: takes events.
        credentials: reads how to reach the API server.
    """
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)  # type: ignore[untyped-decorator]  # kopf's types are not followed: pyproject.toml
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return _connection_info(await credentials())

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers)  # type: ignore[untyped-decorator]
    async def on_serving(event: kopf.RawEvent, **_: Any) -> None:
        delivery.serving(event["type"], event["object"])

    @kopf.on.event("", "v1", "nodes", registry=handlers)  # type: ignore[untyped-decorator]
    async def on_node(event: kopf.RawEvent, **_: Any) -> None:
        delivery.node(event["type"], event["object"])

    return handlers


def operator_settings() -> kopf.OperatorSettings:
    """Settings of kopf: alone, patient with a sick API server, silent towards our objects."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    # Without a scan neither CRDs nor namespaces need to be listed; the CRD is waited for before kopf starts.
    settings.scanning.disabled = True
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 630
    settings.watching.connect_timeout = 10
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 100
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    # Five minutes in all before the process gives up and starts anew.
    settings.networking.error_backoffs = (1, 2, 5, 10, 20, 30, 60, 60, 60)
    settings.posting.level = logging.INFO
    settings.process.ultimate_exiting_timeout = 30
    # Nothing here writes to the user's object; should anything ever, it says whose it is.
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = _NothingToCompare()
    return settings


class _NothingToCompare(kopf.DiffBaseStorage):  # type: ignore[misc]  # kopf's types are not followed
    """Spares kopf the deep copy it makes of every object, a millisecond each, for change handlers that we have none of."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        """Store nothing."""


def _connection_info(credentials: Credentials) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(
        server=credentials.server,
        ca_path=credentials.ca_path,
        insecure=credentials.insecure,
        token=credentials.token,
        certificate_path=credentials.certificate_path,
        private_key_path=credentials.private_key_path,
        expiration=datetime.now(UTC) + timedelta(seconds=CREDENTIALS_SECONDS),
    )
