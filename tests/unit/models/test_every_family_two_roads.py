"""Every family takes both roads: its modules written down as safetensors headers give its modules again, byte for byte.

Names and shapes of published files, written down by hand, are in `test_two_roads`; a family is in one of its checkpoints, or
it is named here as one whose files nobody has written down yet.
"""

from dataclasses import replace

import pytest

from family_cases import READ, written
from model_cases import V32, engine_config
from modelserving.models.facts import ModelFacts
from modelserving.models.families import FAMILIES, family_of
from modelserving.models.reader import read_facts
from modelserving.sizing.weights import rank_weights
from unit.models.test_two_roads import CHECKPOINTS

# Families without a checkpoint in `test_two_roads`, whose tensors' published names only their prefixes and renames vouch for.
# A new family is not added here: its checkpoint is written down there.
NAMES_NOT_WRITTEN_DOWN = frozenset(
    {
        *("phi3", "granite", "starcoder2", "mimo", "opt", "gemma2", "gemma3_text", "gemma4_text", "mixtral"),
        *("qwen2_moe", "qwen3_moe", "gpt_oss", "glm4_moe", "minimax_m2", "llama4_text", "deepseek", "nemotron_h"),
        *("qwen3_next", "falcon_h1", "jamba", "llava", "llava_next", "llava_qwen", "qwen2_vl", "qwen2_5_vl"),
        *("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "gemma3", "gemma4", "llama4", "kimi_k25", "whisper"),
        *("bert", "roberta", "llama_embedding", "mistral_embedding", "qwen2_embedding", "qwen3_embedding"),
    }
)


def test_every_family_has_a_model_to_try() -> None:
    tried = {facts.family for _, facts in READ.values()}
    assert {family.name for family in FAMILIES} - tried == set()


def test_no_family_is_forgotten_where_published_names_are_written_down() -> None:
    by_hand = {family.name for config, _ in CHECKPOINTS.values() if (family := family_of(config["architectures"][0]))}
    known = {family.name for family in FAMILIES}
    assert known - by_hand - NAMES_NOT_WRITTEN_DOWN == set(), "write a checkpoint of these down in test_two_roads.py"
    assert NAMES_NOT_WRITTEN_DOWN - (known - by_hand) == set(), "these need not be named here any more"


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
