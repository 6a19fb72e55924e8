"""Facts of well-known checkpoints that ship with the operator, for where no Hub can be reached.

The file holds fields of config.json that sizing needs and parameter totals as the Hub counts them, with the source of each;
no other content of the repositories. Every entry proves itself: a test counts the parameters that its config makes.
"""

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from modelserving.hub.names import is_commit
from modelserving.models.metadata import CheckpointRef, ModelMetadata, Origin

_SCHEMA = 1
_FILE = ("data", "catalogue.json")
_MAIN = "main"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """What the catalogue holds of one checkpoint.

    Attributes:
        model: Hub id.
        config: fields of config.json.
        parameter_totals: parameters by safetensors dtype, as the Hub counts them: a tied head that is stored counts twice.
        source: where the facts are from, and how they were checked.
        commit: commit of `main` they were read at; empty where nobody stated it.
        quantization_files: as in `ModelMetadata`.
    """

    model: str
    config: Mapping[str, Any]
    parameter_totals: Mapping[str, int]
    source: str
    commit: str = ""
    quantization_files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def lookup(ref: CheckpointRef) -> ModelMetadata | None:
    """Facts of a checkpoint from the bundled catalogue, if it has them.

    The catalogue knows `main`. A commit is taken for one of `main`: sizes do not change between commits of a published model.
    Another branch or tag may be a different checkpoint altogether, and is not answered.
    """
    entry = bundled().get(ref.model) or bundled().get(_by_folded_name().get(ref.model.casefold(), ""))
    if entry is None or not (ref.revision == _MAIN or is_commit(ref.revision)):
        return None
    return as_metadata(entry, entry.commit if ref.revision == _MAIN and entry.commit else ref.revision)


def as_metadata(entry: CatalogueEntry, revision: str = _MAIN) -> ModelMetadata:
    """What an entry tells of a revision."""
    return ModelMetadata(
        model=entry.model,
        revision=revision,
        origin=Origin.CATALOGUE,
        config=entry.config,
        parameter_totals=entry.parameter_totals,
        quantization_files=entry.quantization_files,
    )


@functools.cache
def _by_folded_name() -> Mapping[str, str]:
    """Ids by their lower-case form: the Hub takes a name however it is capitalized."""
    return {model.casefold(): model for model in bundled()}


@functools.cache
def bundled() -> Mapping[str, CatalogueEntry]:
    """The catalogue in this package, by Hub id."""
    return {entry.model: entry for entry in parse(bundled_text())}


def bundled_text() -> str:
    """The catalogue file as it ships."""
    return resources.files("modelserving").joinpath(*_FILE).read_text(encoding="utf-8")


def parse(text: str) -> tuple[CatalogueEntry, ...]:
    """Read a catalogue file; the package's own, so anything wrong with it is a bug.

    Raises:
        ValueError: the file is of another schema.
    """
    document = json.loads(text)
    if document["schema"] != _SCHEMA:
        raise ValueError(f"the catalogue has schema {document['schema']}, this version reads {_SCHEMA}")
    return tuple(
        CatalogueEntry(
            model=model,
            config=fields["config"],
            parameter_totals=fields["parameters"],
            source=fields["source"],
            commit=fields.get("commit", ""),
            quantization_files=fields.get("quantizationFiles", {}),
        )
        for model, fields in document["models"].items()
    )


def render(entries: Iterable[CatalogueEntry]) -> str:
    """Write a catalogue file: one checkpoint to a line, by name, so that a change reads well."""
    lines = []
    for entry in sorted(entries, key=lambda entry: entry.model.casefold()):
        fields: dict[str, Any] = {"source": entry.source}
        if entry.commit:
            fields["commit"] = entry.commit
        fields |= {"parameters": dict(entry.parameter_totals), "config": dict(entry.config)}
        if entry.quantization_files:
            fields["quantizationFiles"] = dict(entry.quantization_files)
        lines.append(f"  {json.dumps(entry.model)}: {json.dumps(fields)}")
    return f'{{"schema": {_SCHEMA}, "models": {{\n' + ",\n".join(lines) + "\n}}\n"
