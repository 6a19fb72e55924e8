"""Architectures that vLLM has a model class for, and model types whose config.json it reads, as data."""

import json
from functools import cache
from importlib.resources import files

_DATA = "data/vllm_architectures.json"
_MODEL_TYPES = "data/vllm_model_types.json"


@cache
def known_architectures() -> frozenset[str]:
    """Names in the registry of vLLM 0.32 (model_executor/models/registry.py), draft models left out."""
    return frozenset(_read(_DATA)["architectures"])


@cache
def known_model_types() -> frozenset[str]:
    """Values of `model_type` whose config.json vLLM 0.32 reads without code from the model's repository."""
    return frozenset(_read(_MODEL_TYPES)["model_types"])


def _read(name: str) -> dict[str, list[str]]:
    data: dict[str, list[str]] = json.loads(files("modelserving.engine").joinpath(name).read_text(encoding="utf-8"))
    return data
