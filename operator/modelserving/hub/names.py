"""Which texts can name a checkpoint on a Hub: checked before anything is sent."""

import re

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public; the library marks no re-export

from modelserving.models.metadata import CheckpointRef, MetadataFailure

# A commit as git names it in full; the only kind of revision that can never come to mean something else.
_COMMIT = re.compile(r"[0-9a-f]{40}")
# What git-check-ref-format(1) allows, narrowed to names without spaces, control characters and globs.
_REVISION = re.compile(r"(?!.*\.\.)(?!.*@\{)(?!.*//)[^\s\x00-\x1f\x7f~^:?*\[\\/.-][^\s\x00-\x1f\x7f~^:?*\[\\]{0,254}")
# Messages repeat at most this much of a text that a user gave.
_SHOWN = 80


def is_commit(revision: str) -> bool:
    """Whether a revision is a full commit id, which never changes its meaning."""
    return _COMMIT.fullmatch(revision) is not None


def shorten(text: str) -> str:
    """Quote a text from outside for a message: printable, on one line, not endless."""
    quoted = repr(text[:_SHOWN])
    return quoted if len(text) <= _SHOWN else f"{quoted}… ({len(text)} characters)"


def name_failure(ref: CheckpointRef) -> MetadataFailure | None:
    """Why a reference can name nothing on any Hub; None where it can."""
    try:
        validate_repo_id(ref.model)
    except HFValidationError:
        return MetadataFailure(
            "InvalidModelName",
            f"spec.model {shorten(ref.model)} is no model id: write organization/name (letters, digits, '-', '_', '.', at most 96 "
            "characters, no spaces), for example llava-hf/llava-onevision-qwen2-72b-ov-hf",
            retryable=False,
        )
    if _REVISION.fullmatch(ref.revision) is None:
        return MetadataFailure(
            "RevisionNotFound",
            f"spec.revision {shorten(ref.revision)} is no name of a branch, a tag or a commit; leave it out for main",
            retryable=False,
        )
    return None
