"""YAML and JSON files -> documents that know where they came from."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modelserving.api.modelserving import KIND
from modelserving.errors import InputError
from modelserving.kube.depth import DEEPEST

STDIN = "-"
# No manifest is larger; a file that is was named by mistake. `kubectl get nodes,pods -A -o json` of 5,000 nodes is about 200 MB.
LARGEST_FILE_BYTES = 512 * 2**20
SUFFIXES = (".yaml", ".yml", ".json")
# The C loader reads ten times as fast; it is missing where PyYAML was built without libyaml.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file.

    Attributes:
        file: path as given, `stdin` for standard input.
        number: which document of the file, from 1.
        content: the object.
    """

    file: str
    number: int
    content: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Kind as written, empty if there is none."""
        return str(self.content.get("kind") or "")

    @property
    def name(self) -> str:
        """Name in metadata, empty if there is none."""
        metadata = self.content.get("metadata")
        return str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""

    @property
    def place(self) -> str:
        """Where it is, for a person: `models.yaml, document 2 (ModelServing llava)`."""
        what = " ".join(part for part in (self.kind, self.name) if part)
        return f"{self.file}, document {self.number}" + (f" ({what})" if what else "")


def read_documents(paths: Iterable[str]) -> list[Document]:
    """Read every object of the files; the items of a `List` count as documents of their own.

    Args:
        paths: files; `-` is standard input.

    Raises:
        InputError: a file cannot be read or is no YAML.
    """
    return [document for path in paths for document in _read(path)]


def files_in(path: str) -> list[str]:
    """List the YAML and JSON files of a folder, or the file itself.

    Raises:
        InputError: the folder holds none.
    """
    if path == STDIN or not Path(path).is_dir():
        return [path]
    found = sorted(str(entry) for entry in Path(path).iterdir() if entry.suffix in SUFFIXES and entry.is_file())
    if not found:
        raise InputError(f"{path}: the folder holds no file that ends in {', '.join(SUFFIXES)}")
    return found


def _read(path: str) -> Iterator[Document]:
    label = "stdin" if path == STDIN else path
    number = 0
    try:
        for content in yaml.load_all(_text(path), Loader=_LOADER):
            if content is None:
                continue
            for item in _items(content, label, number + 1):
                number += 1
                document = Document(label, number, item)
                # What is nested deeper than any resource would take the stack of whoever reads on.
                if document.kind == KIND and _is_deeper(item, DEEPEST):
                    raise InputError(f"{document.place}: nested deeper than {DEEPEST} levels; no field of a {KIND} is")
                yield document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise InputError(f"{label}:{where} {error.problem or error.context}; this is no valid YAML") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{label}: this is no valid YAML ({type(error).__name__})") from error


def _is_deeper(content: Any, levels: int) -> bool:
    """Whether a document has more levels, those of aliases included; each part is looked at once a level."""
    parts = [content]
    for _ in range(levels):
        inside = {id(part): part for whole in parts for part in _parts(whole)}
        parts = list(inside.values())
    return bool(parts)


def _parts(whole: Any) -> Iterable[Any]:
    if isinstance(whole, Mapping):
        return whole.values()
    return whole if isinstance(whole, list) else ()


def _text(path: str) -> str:
    try:
        if path == STDIN:
            return sys.stdin.read()
        if Path(path).stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(f"{path}: larger than {LARGEST_FILE_BYTES // 2**20} MiB; name a file of manifests")
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})") from error


def _items(content: Any, file: str, number: int) -> Iterator[Mapping[str, Any]]:
    if not isinstance(content, Mapping):
        raise InputError(
            f"{file}, document {number}: holds {_what(content)} where a Kubernetes object is expected; "
            "write apiVersion, kind, metadata and spec"
        )
    items = content.get("items")
    if not str(content.get("kind", "")).endswith("List") or not isinstance(items, list):
        yield content
        return
    for item in items:
        # Lists of the API server leave kind out of their items: NodeList holds Nodes.
        kind = str(content["kind"]).removesuffix("List")
        yield from _items({"kind": kind, **item} if kind and isinstance(item, Mapping) else item, file, number)


def _what(content: Any) -> str:
    return {str: "text", list: "a list", int: "a number", float: "a number", bool: "true or false"}.get(
        type(content), type(content).__name__
    )
