"""Families of models: how config.json becomes vLLM's modules. One small file each, data first."""

from modelserving.models.families import llama, llava_onevision, llava_qwen, mistral, qwen2, qwen3
from modelserving.models.families.family import Family

FAMILIES: tuple[Family, ...] = (
    llama.FAMILY,
    mistral.FAMILY,
    qwen2.FAMILY,
    qwen3.FAMILY,
    llava_onevision.FAMILY,
    llava_qwen.FAMILY,
)

_BY_ARCHITECTURE = {architecture: family for family in FAMILIES for architecture in family.architectures}


def family_of(architecture: str) -> Family | None:
    """The family an architecture belongs to, or None if nobody described it."""
    return _BY_ARCHITECTURE.get(architecture)
