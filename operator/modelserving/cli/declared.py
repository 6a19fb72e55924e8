"""Documents that declare shapes of node and prices: values of the chart, or the same keys by themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from modelserving.cli.documents import Document
from modelserving.cluster.declared import DeclaredShape, declared_shape
from modelserving.errors import InputError
from modelserving.settings import Settings

SHAPES, PRICES = "nodeShapes", "gpuPrices"
# Key in a document -> field of the settings.
_FIELDS = {SHAPES: "node_shapes", PRICES: "gpu_prices"}


@dataclass(frozen=True, slots=True)
class Declared:
    """Shapes of node that can be made, and prices by product."""

    shapes: tuple[DeclaredShape, ...] = ()
    prices: Mapping[str, float] = field(default_factory=dict)

    def plus(self, other: "Declared") -> "Declared":
        """Both; prices of the other hold where both have one."""
        return Declared(self.shapes + other.shapes, {**self.prices, **other.prices})


def declares(document: Document) -> bool:
    """Whether a document declares shapes or prices."""
    return bool(_declaring(document))


def declared_in(document: Document) -> Declared:
    """Read what a document declares.

    Raises:
        InputError: it is wrong; every fault with its place.
    """
    try:
        settings = Settings.model_validate({_FIELDS[key]: value for key, value in _declaring(document).items()})
    except ValidationError as error:
        faults = (f"{document.place}: {_path(detail['loc'])}: {detail['msg']}" for detail in error.errors())
        raise InputError("\n".join(faults)) from error
    shapes = tuple(declared_shape(shape) for shape in settings.node_shapes)
    problems = [shape.problem for shape in shapes if shape.problem]
    if problems:
        raise InputError("\n".join(f"{document.place}: {problem}" for problem in problems))
    return Declared(shapes, settings.gpu_prices)


def _declaring(document: Document) -> dict[str, Any]:
    settings = document.content.get("settings")
    written = settings if isinstance(settings, Mapping) else document.content
    return {key: written[key] for key in _FIELDS if written.get(key) is not None}


def _path(location: tuple[int | str, ...]) -> str:
    names = {field_name: key for key, field_name in _FIELDS.items()}
    first, *rest = location or ("",)
    return names.get(str(first), str(first)) + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest
    )
