"""Cases of a file -> answers, a line for a line: nothing in a case stops the next."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modelserving.cli.estimate_case import Refused, evaluate
from modelserving.cli.estimate_facts import FactsShelf
from modelserving.cli.estimate_report import answer


def answers(lines: Iterable[str], shelf: FactsShelf) -> Iterator[str]:
    """Answer every line that is not blank, in order."""
    for line in lines:
        if line.strip():
            yield json.dumps(_answer(line, shelf), ensure_ascii=False)


def models_named(lines: Iterable[str]) -> tuple[str, ...]:
    """Ids of models that cases look up, without those that bring their config.json."""
    names: dict[str, None] = {}
    for line in lines:
        case = _parsed(line)
        if isinstance(case, Mapping) and case.get("model_config") is None and isinstance(case.get("model"), str):
            names[case["model"]] = None
    return tuple(names)


def _answer(line: str, shelf: FactsShelf) -> dict[str, Any]:
    case = _parsed(line)
    if isinstance(case, Refused):
        return answer(None, case)
    return answer(case.get("id") if isinstance(case, Mapping) else None, evaluate(case, shelf))


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return Refused("CaseInvalid", f"the line is no valid JSON ({type(error).__name__}); write one object a line")
