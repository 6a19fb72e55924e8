"""Where the command line gets facts of models from: the Hub with the bundled catalogue behind it, or the catalogue alone."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from modelserving.hub.client import HubClient
from modelserving.hub.source import MetadataSource
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata
from modelserving.settings import Settings

Lookup = Callable[[CheckpointRef], ModelMetadata | MetadataFailure]

# Variables that huggingface_hub itself reads a token from (huggingface_hub 1.0, constants.py).
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def look_up(
    refs: Iterable[CheckpointRef], settings: Settings, offline: bool, timeout_seconds: float
) -> Mapping[CheckpointRef, ModelMetadata | MetadataFailure]:
    """Read the metadata of all checkpoints at once.

    Args:
        refs: which.
        settings: endpoint of the Hub.
        offline: ask no Hub; only the bundled catalogue answers.
        timeout_seconds: longest one checkpoint may take before the catalogue answers for it.
    """
    return asyncio.run(_look_up(list(dict.fromkeys(refs)), settings, offline, timeout_seconds))


async def _look_up(
    refs: list[CheckpointRef], settings: Settings, offline: bool, timeout_seconds: float
) -> dict[CheckpointRef, ModelMetadata | MetadataFailure]:
    client = None
    if settings.hub_enabled and not offline:
        client = HubClient(
            settings.hub_endpoint, timeout_seconds, min(timeout_seconds, settings.hub_request_timeout_seconds)
        )
    try:
        source = MetadataSource(client)
        found = await asyncio.gather(*(source.fetch(ref, token()) for ref in refs))
        return {
            ref: _in_words_of_the_command_line(answer, ref, offline) for ref, answer in zip(refs, found, strict=True)
        }
    finally:
        if client is not None:
            client.close()


def _in_words_of_the_command_line(
    answer: ModelMetadata | MetadataFailure, ref: CheckpointRef, offline: bool
) -> ModelMetadata | MetadataFailure:
    """The way out of a switched-off Hub is an option here, where for the operator it is a setting."""
    if offline and isinstance(answer, MetadataFailure) and answer.reason == "ModelNotFound":
        message = (
            f"the bundled catalogue has no entry for {ref.model} at {ref.revision}; leave out --offline to ask the Hub, "
            "or see `modelserving catalogue list`"
        )
        return replace(answer, message=message)
    return answer


def token() -> str | None:
    """Return the Hub token of the person at the terminal, None if there is none."""
    return next((os.environ[name] for name in TOKEN_VARIABLES if os.environ.get(name)), None)
