"""Which files of a repository vLLM loads."""

import re
from collections.abc import Iterable

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
ADAPTER_CONFIG = "adapter_config.json"
QUANTIZATION_CONFIGS = ("hf_quant_config.json", "quantize_config.json")
"""Descriptions of a quantization outside config.json: NVIDIA ModelOpt's, and AutoGPTQ's (vLLM 0.32:
model_executor/model_loader/weight_utils.py, get_quant_config)."""

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})\.safetensors")
# A second copy of the weights in Mistral's own layout, and LoRA adapters: not what `vllm serve` loads by default.
_NOT_LOADED = ("consolidated", "adapter_model")


def weight_candidates(names: Iterable[str]) -> tuple[str, ...]:
    """Safetensors files that vLLM may load, by name.

    vLLM globs `*.safetensors` at the top of the repository only, so folders such as `original/` do not count (vLLM 0.32:
    model_executor/model_loader/default_loader.py, _prepare_weights).
    """
    return tuple(
        sorted(
            name
            for name in names
            if "/" not in name and name.endswith(".safetensors") and not name.startswith(_NOT_LOADED)
        )
    )


def is_one_series(candidates: tuple[str, ...]) -> bool:
    """Whether the files are one file, or all shards of one series: then an index can take none of them away."""
    if len(candidates) <= 1:
        return True
    shards = [_SHARD.fullmatch(name) for name in candidates]
    series = {(shard["stem"], shard["total"]) for shard in shards if shard}
    return all(shards) and len(series) == 1 and int(next(iter(series))[1]) == len(candidates)


def listed_in_index(candidates: tuple[str, ...], weight_map: Iterable[str]) -> tuple[str, ...]:
    """Files that the index names: vLLM drops the others as duplicates (weight_utils.py, filter_duplicate_safetensors_files)."""
    named = set(weight_map)
    return tuple(name for name in candidates if name in named)
