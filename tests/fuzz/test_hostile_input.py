"""Hostile configs and headers of every family, a bounded number of them; `make fuzz` asks many more."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.mutations import mutated, mutated_headers
from fuzz.verdict import DONORS, SEEDS, check_config, check_facts, check_negative, headers_of, numbers
from modelserving.models.families import FAMILIES
from stored_cases import READ

# One model of each family: the one with the shortest config, which is the quickest to read and as good as any.
ONE_EACH = {
    facts.family: name
    for name, (_, facts) in sorted(READ.items(), key=lambda item: len(str(item[1][0].config)), reverse=True)
}
EXAMPLES = 8

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)


def test_there_is_a_seed_for_every_family() -> None:
    assert set(ONE_EACH) == {family.name for family in FAMILIES}


@pytest.mark.parametrize("family", ONE_EACH)
@settings(max_examples=EXAMPLES)
@given(chance=st.randoms(use_true_random=False))
def test_a_mutated_config_is_estimated_or_refused(family: str, chance: random.Random) -> None:
    check_config(mutated(SEEDS[ONE_EACH[family]], DONORS, chance), chance)


@pytest.mark.parametrize("family", ONE_EACH)
@settings(max_examples=EXAMPLES)
@given(chance=st.randoms(use_true_random=False))
def test_mutated_headers_are_understood_or_refused(family: str, chance: random.Random) -> None:
    name = ONE_EACH[family]
    check_facts(SEEDS[name], mutated_headers(headers_of(name), chance))


@pytest.mark.parametrize("family", ONE_EACH)
def test_no_field_below_zero_gives_a_number(family: str) -> None:
    name = ONE_EACH[family]
    for path in numbers(SEEDS[name]):
        check_negative(name, path)


@given(config=JSON, chance=st.randoms(use_true_random=False))
def test_any_json_is_estimated_or_refused(config: object, chance: random.Random) -> None:
    check_config(config, chance)


@given(more=st.dictionaries(st.sampled_from(sorted({key for donor in DONORS for key in donor})), JSON, max_size=3))
def test_any_value_of_a_field_that_families_read_is_estimated_or_refused(more: dict[str, object]) -> None:
    chance = random.Random(0)
    for name in ("gpt_oss", "deepseek", "nemotron_h", "qwen2_5_vl"):
        check_config(SEEDS[ONE_EACH[name]] | more, chance)
