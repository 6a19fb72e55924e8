"""Making the bundled catalogue from a Hub."""

from collections.abc import Iterable, Mapping
from typing import Any

from modelserving.errors import InputError
from modelserving.hub.catalogue import CatalogueEntry, render
from modelserving.hub.reader import MetadataReader
from modelserving.models.headers import parameters_by_dtype
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata

# Fields of config.json that say nothing about what the model is: how it was trained, how it generates, how it was saved.
_LEFT_OUT = frozenset(
    {
        "_name_or_path",
        "attention_dropout",
        "auto_map",
        "bos_token_id",
        "eos_token_id",
        "id2label",
        "initializer_range",
        "label2id",
        "pad_token_id",
        "pretraining_tp",
        "rms_norm_eps",
        "transformers_version",
        "use_cache",
    }
)


async def refresh_catalogue(
    models: Iterable[str],
    client: MetadataReader,
    token: str | None = None,
    kept: Mapping[str, CatalogueEntry] | None = None,
) -> tuple[str, tuple[str, ...]]:
    """Read checkpoints from a Hub and write them as a catalogue file.

    Args:
        models: Hub ids; `main` of each is read.
        client: the Hub.
        token: token for those that need one.
        kept: entries that stand in for models that cannot be read.

    Returns:
        The text of the file, and why models were not read whose entries were kept.

    Raises:
        InputError: some could not be read and have no entry to keep; the message names each.
    """
    entries, failures, stale = [], [], []
    for model in dict.fromkeys(models):
        answer = await client.fetch(CheckpointRef(model), token)
        if not isinstance(answer, MetadataFailure):
            entries.append(_entry(answer))
            continue
        failure = f"{model}: {answer.reason}: {answer.message}"
        if kept is not None and model in kept:
            entries.append(kept[model])
            stale.append(failure)
        else:
            failures.append(failure)
    if failures:
        raise InputError("the catalogue was not written: " + "; ".join(failures))
    return render(entries), tuple(stale)


def _entry(metadata: ModelMetadata) -> CatalogueEntry:
    return CatalogueEntry(
        model=metadata.model,
        config=_needed(metadata.config),
        parameter_totals=metadata.parameter_totals or parameters_by_dtype(metadata.tensors),
        source=f"{metadata.origin.value}: config.json and safetensors totals of {metadata.model}",
        commit=metadata.revision,
        quantization_files=metadata.quantization_files,
    )


def _needed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without fields that sizing has no use for, at the top and one level below (text_config, vision_config)."""
    return {
        name: {inner: value[inner] for inner in value if inner not in _LEFT_OUT}
        if isinstance(value, Mapping)
        else value
        for name, value in config.items()
        if name not in _LEFT_OUT
    }
