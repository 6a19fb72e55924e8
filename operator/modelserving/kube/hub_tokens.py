"""Tokens for the Hub, from the Secrets that resources name. They are never logged, shown or kept."""

import base64
import binascii

from modelserving.api.modelserving import SecretKeyRef
from modelserving.controller.resources import SECRETS
from modelserving.errors import ForbiddenError, NotFoundError
from modelserving.kube.client import KubeClient
from modelserving.models.metadata import MetadataFailure

SECRET_NOT_FOUND = "SecretNotFound"


class HubTokens:
    """Reads tokens.

    Args:
        client: API server.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def token(self, namespace: str, ref: SecretKeyRef) -> str | MetadataFailure:
        """Read a token, or say why it cannot be had."""
        where = f"spec.huggingFace.tokenSecretRef: Secret {ref.name} in namespace {namespace}"
        create = f"kubectl create secret generic {ref.name} -n {namespace} --from-literal={ref.key}=hf_…"
        try:
            secret = await self._client.get(SECRETS, namespace, ref.name)
        except NotFoundError:
            return MetadataFailure(SECRET_NOT_FOUND, f"{where} does not exist; create it: {create}", retryable=True)
        except ForbiddenError as error:
            return MetadataFailure(SECRET_NOT_FOUND, f"{where} may not be read: {error}", retryable=True)
        try:
            text = base64.b64decode((secret.get("data") or {})[ref.key], validate=True).decode("ascii").strip()
        except KeyError:
            message = (
                f"{where} has no key {ref.key}; set spec.huggingFace.tokenSecretRef.key, or create it anew: {create}"
            )
            return MetadataFailure(SECRET_NOT_FOUND, message, retryable=True)
        except (binascii.Error, UnicodeDecodeError):
            return MetadataFailure(SECRET_NOT_FOUND, f"{where}: key {ref.key} holds no text", retryable=True)
        return text or MetadataFailure(SECRET_NOT_FOUND, f"{where}: key {ref.key} is empty", retryable=True)
