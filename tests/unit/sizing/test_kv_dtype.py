"""Data types of the KV cache; vLLM's own figures are in tests/conformance."""

from dataclasses import replace

import pytest

from model_cases import GPUS, H100, engine_config, facts_of
from modelserving.models.facts import ModelFacts
from modelserving.sizing.kv_dtype import content_bytes, kv_dtype

DEEPSEEK = facts_of("deepseek-v2-lite")


def sparse(architecture: str = "DeepseekV32ForCausalLM") -> ModelFacts:
    """DeepSeek with a sparse indexer."""
    latent = DEEPSEEK.latent_attention
    assert latent is not None
    return replace(DEEPSEEK, architecture=architecture, latent_attention=replace(latent, index_topk=2048))


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("bfloat16", 512),
        ("float32", 1024),
        ("fp8", 256),
        ("fp8_e5m2", 256),
        ("int8_per_token_head", 264),
        ("int4_per_token_head", 136),
        ("nvfp4", 144),
        ("turboquant_k8v4", 128 + 64 + 4),
        ("turboquant_4bit_nc", 66 + 68),
        ("turboquant_k3v4_nc", 50 + 68),
        ("turboquant_3bit_nc", 50 + 52),
    ],
)
def test_a_token_of_a_head_of_128_keeps(dtype: str, size: int) -> None:
    assert content_bytes(128, 128, dtype) == size


def test_packed_slots_are_even() -> None:
    assert content_bytes(66, 66, "turboquant_3bit_nc") % 2 == 0


@pytest.mark.parametrize(
    ("asked", "gpu", "used", "size"),
    [
        ("auto", "H100-80", "bfloat16", 1152),
        ("fp8", "H100-80", "fp8_ds_mla", 656),
        ("fp8", "B200", "fp8", 576),
        ("nvfp4_ds_mla", "H100-80", "nvfp4_ds_mla", 352),
    ],
)
def test_sparse_latent_attention_packs(asked: str, gpu: str, used: str, size: int) -> None:
    facts = sparse()
    dtype = kv_dtype(facts, engine_config(facts, kv_cache_dtype=asked), GPUS[gpu])
    assert dtype == used
    assert content_bytes(576, 0, dtype) == size


def test_workstation_blackwell_always_packs_sparse_latent_attention() -> None:
    workstation = replace(H100, compute_capability=(12, 0))
    facts = sparse()
    assert kv_dtype(facts, engine_config(facts), workstation) == "fp8_ds_mla"
    assert kv_dtype(DEEPSEEK, engine_config(DEEPSEEK), workstation) == "bfloat16"


def test_glm_with_an_indexer_is_fp8_on_blackwell_by_default() -> None:
    facts = sparse("GlmMoeDsaForCausalLM")
    assert kv_dtype(facts, engine_config(facts), GPUS["B200"]) == "fp8_e4m3"
    assert kv_dtype(facts, engine_config(facts), H100) == "bfloat16"
    assert kv_dtype(facts, engine_config(facts, kv_cache_dtype="bfloat16"), GPUS["B200"]) == "bfloat16"
