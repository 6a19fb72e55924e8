"""Models, GPUs and vLLM's own answers that the tests of models, engine and sizing share; origin: tests/data/*/README.md."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from modelserving.engine.config import EngineConfig
from modelserving.engine.defaults import batch_defaults
from modelserving.engine.device import Gpu
from modelserving.engine.versions import EngineVersion, engine_version
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import ModelMetadata, Origin, TensorGroup
from modelserving.models.reader import read_facts
from modelserving.units import GIB, MIB

DATA = Path(__file__).parent / "data"
V32 = engine_version("0.32.0")
V19 = engine_version("0.19.0")

# name in the oracle: product label, compute capability, MiB as NVML reports them
_GPUS = {
    "T4": ("Tesla-T4", (7, 5), 15360),
    "V100-32": ("Tesla-V100-SXM2-32GB", (7, 0), 32768),
    "A10G": ("NVIDIA-A10G", (8, 6), 23028),
    "L4": ("NVIDIA-L4", (8, 9), 23034),
    "L40S": ("NVIDIA-L40S", (8, 9), 46068),
    "A100-40": ("NVIDIA-A100-SXM4-40GB", (8, 0), 40960),
    "A100-80": ("NVIDIA-A100-SXM4-80GB", (8, 0), 81920),
    "H100-80": ("NVIDIA-H100-80GB-HBM3", (9, 0), 81559),
    "H200": ("NVIDIA-H200", (9, 0), 143771),
    "B200": ("NVIDIA-B200", (10, 0), 183359),
}
GPUS = {name: Gpu(product, mib * MIB, capability) for name, (product, capability, mib) in _GPUS.items()}
H100, T4 = GPUS["H100-80"], GPUS["T4"]


def config_of(model: str, **changes: Any) -> dict[str, Any]:
    """config.json of a model in tests/data/configs, with fields changed; a change to `...` removes the field."""
    content: dict[str, Any] = json.loads((DATA / "configs" / model / "config.json").read_text())
    content |= changes
    return {key: value for key, value in content.items() if value is not ...}


def read(config: Mapping[str, Any], tensors: tuple[TensorGroup, ...] = (), **more: Any) -> ModelFacts | FactsRefusal:
    """What the reader makes of a config.json and tensors."""
    return read_facts(ModelMetadata("org/model", "main", Origin.FILE, config, tensors, **more))


def facts_from(config: Mapping[str, Any], tensors: tuple[TensorGroup, ...] = (), **more: Any) -> ModelFacts:
    """The same where it must be facts."""
    facts = read(config, tensors, **more)
    assert isinstance(facts, ModelFacts), facts
    return facts


@cache
def facts_of(model: str) -> ModelFacts:
    """Facts of a model in tests/data/configs."""
    return facts_from(config_of(model))


def engine_config(facts: ModelFacts, version: EngineVersion = V32, gpu: Gpu = H100, **changes: Any) -> EngineConfig:
    """vLLM's defaults for a model on a GPU, with fields changed."""
    tokens, sequences = batch_defaults(version, gpu)
    values: dict[str, Any] = {
        "max_model_len": facts.max_model_len,
        "max_num_seqs": sequences,
        "max_num_batched_tokens": tokens,
        "gpu_memory_utilization": version.gpu_memory_utilization,
        "dtype": facts.stored_dtype,
    }
    return EngineConfig(**(values | changes))


def _lines(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / "oracle" / file).read_text().splitlines()]


ORACLE = _lines("vllm-0.32.jsonl")
OBSERVATIONS = _lines("observations.jsonl")


def sentence(case: Mapping[str, Any]) -> str:
    """A case of the oracle as a test's name."""
    shown = {key: value for key, value in case.items() if key not in ("model", "gpu", "kv_avail_gib")}
    return f"{case['model']} on {case['gpu']} " + " ".join(f"{key}={value}" for key, value in shown.items())


def observed_gpu(row: Mapping[str, Any]) -> Gpu:
    """The GPU of an observation, with the total that its log states."""
    known = H100 if row["gpu"].startswith("H100") else GPUS["A100-80"]
    return Gpu(known.product, int(row["gpu_total_gib"] * GIB), known.compute_capability)
