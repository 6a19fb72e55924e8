"""Facts of models for `modelserving estimate`: config.json files, inline configs, ids of a Hub; each is understood once."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelserving.models.facts import FactsRefusal, ModelFacts
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata, Origin
from modelserving.models.reader import read_facts

Facts = ModelFacts | FactsRefusal
Lookup = Callable[[CheckpointRef], ModelMetadata | MetadataFailure]
# Models kept at once; one takes some hundred KiB.
_KEPT = 128
# No config.json comes near; a larger file was named by mistake.
_LARGEST_CONFIG_BYTES = 32 * 2**20
# Files beside config.json that say how a checkpoint is quantized.
_QUANTIZATION_FILES = ("hf_quant_config.json", "quantize_config.json")


class FactsShelf:
    """Facts by where they come from, bounded.

    Args:
        folder: what relative paths start from.
        lookup: metadata of a checkpoint by its Hub id.
    """

    def __init__(self, folder: Path, lookup: Lookup) -> None:
        self._folder = folder
        self._lookup = lookup
        self._kept: OrderedDict[str, Facts] = OrderedDict()

    def find(self, config: object, model: str | None) -> Facts:
        """Facts from a config.json (its path or its content), or of a Hub id where there is none."""
        if isinstance(config, str):
            path = self._folder / config
            return self._once(f"file {path}", lambda: _from_file(path, model))
        if config is not None:
            key = json.dumps(config, sort_keys=True, default=str)
            return self._once(f"inline {key}", lambda: _understood(config, model or "config.json", {}))
        if model is None:
            return _unknown("the case names neither model_config nor model; name a config.json or the id of a model")
        return self._once(f"model {model}", lambda: self._from_hub(model))

    def _once(self, key: str, read: Callable[[], Facts]) -> Facts:
        if key not in self._kept:
            self._kept[key] = read()
        self._kept.move_to_end(key)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]

    def _from_hub(self, model: str) -> Facts:
        found = self._lookup(CheckpointRef(model))
        return _unknown(found.message) if isinstance(found, MetadataFailure) else read_facts(found)


def _from_file(path: Path, model: str | None) -> Facts:
    content = _read(path)
    if isinstance(content, FactsRefusal):
        return content
    beside = {name: _read(path.parent / name) for name in _QUANTIZATION_FILES if (path.parent / name).is_file()}
    described = {name: found for name, found in beside.items() if isinstance(found, Mapping)}
    return _understood(content, model or path.parent.name or str(path), described)


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > _LARGEST_CONFIG_BYTES:
            return _unknown(f"{path} is larger than {_LARGEST_CONFIG_BYTES // 2**20} MiB and no config.json")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return _unknown(f"config.json at {path} cannot be read: {error.strerror or error}")
    except (ValueError, RecursionError) as error:
        return _unknown(f"{path} is no valid JSON ({type(error).__name__})")


def _understood(config: Any, model: str, quantization_files: Mapping[str, Any]) -> Facts:
    return read_facts(ModelMetadata(model, "main", Origin.FILE, config, quantization_files=quantization_files))


def _unknown(message: str) -> FactsRefusal:
    return FactsRefusal("ModelUnknown", message)
