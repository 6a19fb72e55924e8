"""Every family takes both roads: its modules written down as safetensors headers give its modules again, byte for byte.

The models are those of the catalogue, of tests/data/configs and a small one of every architecture. Names and shapes as published
files have them, written down by hand, are in `test_two_roads`.
"""

from dataclasses import replace

import pytest

from model_cases import V32, engine_config
from modelserving.models.facts import ModelFacts
from modelserving.models.families import FAMILIES
from modelserving.models.reader import read_facts
from modelserving.sizing.weights import rank_weights
from stored_cases import READ, written


def test_every_family_has_a_model_to_try() -> None:
    tried = {facts.family for _, facts in READ.values()}
    assert {family.name for family in FAMILIES} - tried == set(), "a small config of each belongs into test_families"


@pytest.mark.parametrize("name", READ)
def test_both_roads_give_the_same_bytes(name: str) -> None:
    metadata, by_config = READ[name]
    if by_config.stored_quantization is not None and not by_config.stored_quantization.known:
        assert "not known" in " ".join(by_config.assumptions)
        return
    by_headers = read_facts(replace(metadata, tensors=written(by_config), parameter_totals={}))
    assert isinstance(by_headers, ModelFacts)
    told = [sentence for sentence in by_headers.assumptions if "headers" in sentence or "stored tensors" in sentence]
    assert told == []
    for ranks in (1, 8):
        engine = engine_config(by_config, tensor_parallel_size=ranks)
        assert rank_weights(by_headers, engine, V32, 0).on_gpu == rank_weights(by_config, engine, V32, 0).on_gpu
