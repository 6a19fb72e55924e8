"""The output head, as a checkpoint's tensors show it.

vLLM 0.32 looks as well: a head that is stored is loaded whatever the config's class says about tying (config/model.py,
`maybe_untie_word_embeddings`), and tied again only if both are the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from modelserving.models import headers
from modelserving.models.families.family import Description, Family
from modelserving.models.families.pooling import headless
from modelserving.models.metadata import TensorGroup
from modelserving.models.modules import Section

_HEAD = "lm_head"
_FLAG = "tie_word_embeddings"
_PARTS = ("text_config", "thinker_config", "llm_config", "language_config")


def fit_head(
    described: Description, family: Family, tensors: Iterable[TensorGroup], config: Mapping[str, Any]
) -> Description:
    """The description with the head that is stored.

    A stored head that config.json itself calls tied is a copy. One that only the config's class would tie is its own.
    """
    names = {family.vllm_name(name) for group in tensors for name in headers.names(group)}
    if not names:
        return described
    stored = any(name.rpartition(".")[0].endswith(_HEAD) for name in names)
    if not stored:
        return headless(described) if family.head_optional else described
    if not described.tie_word_embeddings or _says_tied(config):
        return described
    sections = tuple(_untied(section) for section in described.sections)
    return replace(described, sections=sections, tie_word_embeddings=False)


def _says_tied(config: Mapping[str, Any]) -> bool:
    if config.get(_FLAG) is not None:
        return True
    return any(isinstance(part := config.get(key), Mapping) and _says_tied(part) for key in _PARTS)


def _untied(section: Section) -> Section:
    modules = tuple(
        replace(module, tied_to=None) if module.name.endswith(_HEAD) else module for module in section.modules
    )
    return replace(section, modules=modules)
