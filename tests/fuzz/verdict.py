"""What must hold of every answer, whatever was asked: an estimate that makes sense, or a refusal with a reason."""

import json
import math
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelserving.cli.estimate_batch import answers
from modelserving.cli.estimate_case import Estimated, evaluate
from modelserving.cli.estimate_facts import FactsShelf
from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata, Origin, TensorGroup
from modelserving.models.reader import read_facts
from stored_cases import READ, written

GPUS = ("NVIDIA-H100-80GB-HBM3", "NVIDIA-A100-SXM4-40GB", "NVIDIA-B200", "Tesla-T4", "NVIDIA-L40S")
VERSIONS = ("0.5.4", "0.11.0", "0.19.0", "0.32.0", "0.33.0")
REASON = re.compile(r"[A-Z][A-Za-z0-9]+")
LONGEST_MESSAGE = 4000
# Fields whose negative values mean something: which layers of a tower are used (transformers, LlavaConfig).
NEGATIVE_MEANS_SOMETHING = frozenset({"vision_feature_layer"})

SEEDS: dict[str, dict[str, Any]] = {name: dict(metadata.config) for name, (metadata, _) in READ.items()}
DONORS = list(SEEDS.values())


class BrokenPromiseError(AssertionError):
    """An answer that is neither a sensible estimate nor a refusal with a reason."""


def check_config(config: Any, chance: random.Random) -> bool:
    """Ask for an estimate of a config as the command line does; whether there was one.

    Raises:
        BrokenPromiseError: the answer is neither.
    """
    case = {
        "model_config": config,
        "gpu": chance.choice(GPUS),
        "vllm_version": chance.choice(VERSIONS),
        "tensor_parallel_size": chance.choice((1, 1, 1, 2, 4, 8, 3)),
        "pipeline_parallel_size": chance.choice((1, 1, 1, 2)),
        "max_model_len": chance.choice((None, None, None, 256)),
        "quantization": chance.choice((*(None,) * 8, "fp8_per_tensor", "mxfp4")),
    }
    try:
        line = json.dumps(case)
    except ValueError:
        # Lone surrogates and the like cannot be sent as a line; the config itself still can be read.
        return check_facts(config, ())
    (told,) = answers([line], FactsShelf(Path(), _unknown))
    answer = json.loads(told, parse_constant=_no_constant)
    if answer["refused"] is not None:
        check_refusal(answer["refused"]["reason"], answer["refused"]["message"])
        return False
    _check_numbers(answer)
    return True


def check_facts(config: Any, tensors: tuple[TensorGroup, ...]) -> bool:
    """Understand a config and headers; whether that gave facts, which are then sized."""
    metadata = ModelMetadata("org/model", "main", Origin.FILE, config, tensors)
    facts = read_facts(metadata)
    if isinstance(facts, FactsRefusal):
        check_refusal(facts.reason, facts.message)
        return False
    _expect(facts.parameter_count >= 0, f"{facts.parameter_count} parameters")
    _expect(facts.checkpoint_bytes >= 0, f"{facts.checkpoint_bytes} bytes on disk")
    shelf = FactsShelf(Path(), lambda ref: metadata)
    result = evaluate({"model": "org/model", "gpu": GPUS[0], "vllm_version": "0.32.0"}, shelf)
    if isinstance(result, Estimated):
        _expect(all(rank.weights.value >= 0 for rank in result.memory.ranks), "weights below zero")
    else:
        check_refusal(result.reason, result.message)
    return True


def check_negative(name: str, path: tuple[Any, ...]) -> None:
    """A field below zero is refused, or nobody reads it: facts are those of the field as it was, or of no such field."""
    plain, negative, without = (_at(name, path, how) for how in ("keep", "negate", "drop"))
    if isinstance(negative, ModelFacts) and path[-1] not in NEGATIVE_MEANS_SOMETHING:
        _expect(negative in (plain, without), f"{name}: {path} below zero gave facts of its own")


def numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all numbers above zero in a config."""
    if isinstance(value, Mapping):
        return [found for key, inner in value.items() for found in numbers(inner, (*path, key))]
    if isinstance(value, list):
        return [found for index, inner in enumerate(value[:4]) for found in numbers(inner, (*path, index))]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [path] if is_number and value > 0 else []


def headers_of(name: str) -> tuple[TensorGroup, ...]:
    """Headers of a seed, as its family would store it."""
    return written(READ[name][1])


def check_refusal(reason: object, message: object) -> None:
    """A reason in CamelCase and a sentence that a person can read."""
    _expect(isinstance(reason, str) and REASON.fullmatch(reason) is not None, f"reason {reason!r}")
    _expect(isinstance(message, str) and 20 < len(message) < LONGEST_MESSAGE, f"message {message!r:.200}")


def _at(name: str, path: tuple[Any, ...], how: str) -> ModelFacts | FactsRefusal:
    metadata = READ[name][0]
    config = json.loads(json.dumps(dict(metadata.config)))
    owner = config
    for key in path[:-1]:
        owner = owner[key]
    if how == "negate":
        owner[path[-1]] = -owner[path[-1]]
    elif how == "drop":
        del owner[path[-1]]
    return read_facts(ModelMetadata(name, "main", Origin.FILE, config, (), metadata.parameter_totals))


def _check_numbers(answer: Any, path: str = "") -> None:
    if isinstance(answer, dict):
        for key, value in answer.items():
            _check_numbers(value, f"{path}.{key}")
        for rank_name, (low, high) in answer.get("bands", {}).items():
            _expect(low <= answer[rank_name] <= high, f"{path}.{rank_name} outside of {low} to {high}")
    elif isinstance(answer, list):
        for index, value in enumerate(answer):
            _check_numbers(value, f"{path}[{index}]")
    elif isinstance(answer, float | int) and not isinstance(answer, bool):
        _expect(math.isfinite(answer), f"{path} is {answer}")
        # What is left for the KV cache is below zero where the rest alone is too much.
        left_over = "kv_cache_bytes" in path or path.endswith(".free")
        _expect(answer >= 0 or left_over, f"{path} is {answer}")


def _expect(holds: bool, broken: str) -> None:
    if not holds:
        raise BrokenPromiseError(broken)


def _unknown(ref: CheckpointRef) -> MetadataFailure:
    return MetadataFailure("ModelNotFound", f"{ref.model} is not known here", retryable=False)


def _no_constant(name: str) -> Any:
    raise BrokenPromiseError(f"the answer holds {name}")
