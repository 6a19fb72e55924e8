import pytest
from pydantic import ValidationError

from modelserving.api.status import Condition, ModelServingStatus

CONDITION = {"type": "Planned", "status": "True", "reason": "PlanFits", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def test_a_condition_of_each_type_at_most_once() -> None:
    with pytest.raises(ValidationError, match="duplicate: Planned"):
        ModelServingStatus.model_validate({"conditions": [CONDITION, CONDITION]})


def test_what_is_written_is_in_the_words_of_the_api() -> None:
    status = ModelServingStatus(
        observed_generation=2, conditions=[Condition.model_validate(CONDITION)], ready_replicas=1
    )
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert written["observedGeneration"] == 2
    assert written["readyReplicas"] == 1
    assert written["conditions"] == [{**CONDITION, "message": ""}]


@pytest.mark.parametrize("status", ["true", "Maybe", ""])
def test_a_condition_is_true_false_or_unknown(status: str) -> None:
    with pytest.raises(ValidationError, match="status"):
        Condition.model_validate({**CONDITION, "status": status})
