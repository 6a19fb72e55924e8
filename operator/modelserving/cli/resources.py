"""Documents -> ModelServing resources, every fault with its file, document and field."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from modelserving.api.modelserving import API_VERSION, KIND, ModelServing
from modelserving.api.problems import Problem, parse_serving
from modelserving.cli.documents import Document
from modelserving.errors import InputError


@dataclass(frozen=True, slots=True)
class Resource:
    """A ModelServing and the document it was read from."""

    document: Document
    serving: ModelServing


def resources_in(documents: Sequence[Document]) -> list[Resource]:
    """Read the ModelServing resources; objects of other kinds are passed over.

    Raises:
        InputError: resources are wrong, each fault with its place; or there is none.
    """
    found: list[Resource] = []
    faults: list[str] = []
    for document in documents:
        if document.kind != KIND:
            continue
        if (group := document.content.get("apiVersion")) != API_VERSION:
            faults.append(f"{document.place}: apiVersion is {group!r}; this program reads {API_VERSION}")
            continue
        read = parse_serving(document.content)
        if isinstance(read, ModelServing):
            found.append(Resource(document, read))
        else:
            faults += [f"{document.place}: {problem}{_hint(problem)}" for problem in read]
    if faults:
        raise InputError("\n".join(faults))
    if not found:
        files = ", ".join(dict.fromkeys(document.file for document in documents)) or "the input"
        raise InputError(f"{files}: holds no {KIND} of {API_VERSION}")
    return found


def _hint(problem: Problem) -> str:
    """Name the field that was perhaps meant, where there is none of that name."""
    parent, _, name = problem.path.rpartition(".")
    near = difflib.get_close_matches(name, _fields(ModelServing, parent.split(".")), n=1)
    return f"; did you mean {near[0]}?" if near and near[0] != name else ""


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Name the fields that the model at a path has."""
    for part in path:
        step = dict(_named(model)).get(part.partition("[")[0])
        inner = _model_in(step)
        if inner is None:
            return []
        model = inner
    return [name for name, _ in _named(model)]


def _named(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        yield str(field.validation_alias or field.alias or name), field.annotation


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in inner if model), None)
