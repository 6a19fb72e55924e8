"""Names a user writes for models and their revisions, with refusals that say what to write instead."""

import re
from typing import Annotated

from pydantic import Field

from modelserving.api.base import Rule, pattern

# huggingface_hub 2.4, utils/_validators.py, validate_repo_id: letters, digits, '.', '_', '-'; 96 characters a part at
# most; neither '--' nor '..'; no '-' or '.' at either end; no '.git' at the end.
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = rf"(?:{_PART}/)?{_PART}"
# The claim is a DNS-1123 subdomain: apimachinery/pkg/util/validation, IsDNS1123Subdomain.
_VOLUME = r"pvc://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[A-Za-z0-9._-]+)*/?"
_MODEL = rf"(?:{_HUB_ID}|{_VOLUME})"

# apimachinery, IsDNS1123Label.
_LABEL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_PATH_CEL = "(self.startsWith('/') || self.startsWith('.') || self.startsWith('~'))"
_ADDRESS_CEL = "(self.contains('://') && !self.startsWith('pvc://'))"
_VALID_CEL = (
    f"(self.matches(r'^{_MODEL}$') && !self.contains('..') && !self.endsWith('.git')"
    " && (self.startsWith('pvc://') || !self.contains('--')))"
)


def is_label_name(name: str) -> bool:
    """Whether this is an RFC 1123 label, as volumes are named."""
    return _LABEL_NAME.fullmatch(name) is not None


def _is_path(model: str) -> bool:
    return model.startswith(("/", ".", "~"))


def _is_address(model: str) -> bool:
    return "://" in model and not model.startswith("pvc://")


def _is_valid(model: str) -> bool:
    return (
        re.fullmatch(_MODEL, model) is not None
        and ".." not in model
        and not model.endswith(".git")
        and (model.startswith("pvc://") or "--" not in model)
    )


# Each refusal alone: what one rule has explained, the next does not explain again.
ModelName = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Rule(
        cel=f"!{_PATH_CEL}",
        message="a folder of one machine cannot be served, pods run anywhere: put the weights on a volume and write pvc://claim/path, "
        "or name a model on the Hub: owner/name",
        holds=lambda model: not _is_path(model),
    ),
    Rule(
        cel=f"!{_ADDRESS_CEL}",
        message="an address cannot be served: write the Hub id alone, owner/name, or pvc://claim/path for weights on a volume",
        holds=lambda model: not _is_address(model),
    ),
    Rule(
        cel=f"{_PATH_CEL} || {_ADDRESS_CEL} || {_VALID_CEL}",
        message="no model name: write a Hub id such as Qwen/Qwen2-72B-Instruct (owner and name of letters, digits, '.', '_' and '-', "
        "no spaces, at most 96 characters each), or pvc://claim/path for weights on a volume",
        holds=lambda model: _is_path(model) or _is_address(model) or _is_valid(model),
    ),
]
"""A Hub id (`owner/name`), or weights on a volume (`pvc://claim/path`)."""

Revision = Annotated[
    str,
    Field(min_length=1, max_length=255),
    pattern(
        r"[A-Za-z0-9][A-Za-z0-9._/-]*",
        "no branch, tag or commit: letters, digits, '.', '_', '-' and '/', beginning with a letter or digit",
    ),
]
"""A branch, tag or commit on the Hub."""

# apimachinery/pkg/util/validation: IsDNS1123Subdomain, IsDNS1123Label.
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    pattern(
        r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*",
        "no name of a Kubernetes object: lower case letters, digits, '-' and '.', beginning and ending with a letter or digit",
    ),
]
"""Name of a Kubernetes object."""

SecretKey = Annotated[
    str,
    Field(min_length=1, max_length=253),
    pattern(r"[A-Za-z0-9._-]+", "no key of a Secret: letters, digits, '.', '_' and '-'"),
]
"""Key in a Secret: apimachinery/pkg/util/validation, IsConfigMapKey."""
