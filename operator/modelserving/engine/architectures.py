"""Architectures that vLLM has a model class for, as data."""

import json
from functools import cache
from importlib.resources import files

_DATA = "data/vllm_architectures.json"


@cache
def known_architectures() -> frozenset[str]:
    """Names in the registry of vLLM 0.32 (model_executor/models/registry.py), draft models left out."""
    data = json.loads(files("modelserving.engine").joinpath(_DATA).read_text(encoding="utf-8"))
    return frozenset(data["architectures"])
