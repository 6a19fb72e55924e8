"""Architectures that vLLM has a model class for, and model types whose config.json it reads, as data."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_DATA = "data/vllm_architectures.json"


@cache
def _data() -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads(files("modelserving.engine").joinpath(_DATA).read_text(encoding="utf-8"))
    return content


@cache
def known_architectures() -> frozenset[str]:
    """Names in the registry of vLLM 0.32 (model_executor/models/registry.py), draft models left out."""
    return frozenset(_data()["architectures"])


@cache
def backend_architectures() -> frozenset[str]:
    """Names that are not in the registry, and that vLLM 0.32 runs in transformers' own class (_try_resolve_transformers)."""
    return frozenset(_data()["transformers_backend"])


@cache
def known_model_types() -> frozenset[str]:
    """Values of `model_type` for which vLLM 0.32 or its transformers has a config class."""
    return frozenset(_data()["model_types"])
