"""Cases whose answers are known, and ours to them: the very function behind `modelserving estimate --cases`."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from modelserving.cli.estimate_case import Estimated, Refused, evaluate
from modelserving.cli.estimate_facts import FactsShelf
from modelserving.hub.catalogue import lookup
from modelserving.models.metadata import CheckpointRef, MetadataFailure, ModelMetadata

DATA = Path(__file__).parents[1] / "data" / "conformance"


@dataclass(frozen=True, slots=True)
class Error:
    """How far an estimate lies from the truth, in percent."""

    percent: float
    name: str


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of one figure over many cases."""

    found: tuple[Error, ...]

    @property
    def exact(self) -> float:
        """Share of cases without any error, in percent."""
        return 100 * sum(error.percent < 1e-9 for error in self.found) / len(self.found)

    @property
    def median(self) -> float:
        """Error in the middle, in percent."""
        return statistics.median(error.percent for error in self.found)

    @property
    def worst(self) -> Error:
        """The largest error, with the name of its case."""
        return max(self.found, key=lambda error: error.percent)

    def percentile(self, share: float) -> float:
        """Error that a share of the cases stays below, in percent."""
        ordered = sorted(error.percent for error in self.found)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def read(file: str) -> list[dict[str, Any]]:
    """Lines of a data file."""
    return [json.loads(line) for line in (DATA / file).read_text(encoding="utf-8").splitlines()]


def _catalogue(ref: CheckpointRef) -> ModelMetadata | MetadataFailure:
    return lookup(ref) or MetadataFailure("ModelNotFound", f"{ref.model} is not in the catalogue", retryable=False)


@cache
def shelf() -> FactsShelf:
    """Facts of the models in tests/data/configs and of the bundled catalogue; no Hub is asked."""
    return FactsShelf(DATA, _catalogue)


def estimated(case: dict[str, Any]) -> Estimated | Refused:
    """Our answer to a case."""
    return evaluate(case, shelf())


def errors(pairs: Iterable[tuple[str, float, float]]) -> Errors:
    """Errors of (name, ours, theirs)."""
    return Errors(tuple(Error(abs(ours - theirs) / abs(theirs) * 100, name) for name, ours, theirs in pairs))


def sentence(case: dict[str, Any]) -> str:
    """A case as a name."""
    shown = {key: value for key, value in case.items() if key not in ("model_config", "gpu_memory_total_bytes")}
    model = Path(str(case.get("model_config", ""))).parent.name
    return " ".join([model, *(f"{key}={value}" for key, value in shown.items())])
