"""Data types of the KV cache by attention and GPU; the answers are vLLM's own, see tests/data/conformance."""

from dataclasses import replace

import pytest

from model_cases import GPUS, facts_of
from modelserving.engine.cache_rules import cache_dtype_objection
from modelserving.models.facts import Quantization

# sentence: (model, dtype, GPU, reason or None)
CASES: dict[str, tuple[str, str, str, str | None]] = {
    "fp8 on Hopper": ("llama31-8b", "fp8", "H100-80", None),
    "fp8 on Ampere": ("llama31-8b", "fp8", "A10G", None),
    "fp8 on Turing": ("llama31-8b", "fp8", "T4", "KvCacheDtypeNeedsNewerGpu"),
    "turboquant": ("llama31-8b", "turboquant_4bit_nc", "H100-80", None),
    "int8 by token and head": ("llama31-8b", "int8_per_token_head", "H100-80", None),
    "a layout of sparse attention": ("llama31-8b", "fp8_ds_mla", "H100-80", "KvCacheDtypeNotSupported"),
    "nobody's": ("llama31-8b", "fp9", "H100-80", "KvCacheDtypeUnknown"),
    "fp8 of latent attention on Hopper": ("deepseek-v2-lite", "fp8_e4m3", "H100-80", None),
    "fp8 of latent attention on Ada": ("deepseek-v2-lite", "fp8", "L40S", None),
    "fp8 of latent attention on Ampere": ("deepseek-v2-lite", "fp8", "A100-80", "KvCacheDtypeNeedsNewerGpu"),
    "e5m2 of latent attention": ("deepseek-v2-lite", "fp8_e5m2", "H100-80", "KvCacheDtypeNotSupported"),
    "nvfp4 of latent attention": ("deepseek-v2-lite", "nvfp4", "B200", "KvCacheDtypeNotSupported"),
    "turboquant of latent attention": ("deepseek-v2-lite", "turboquant_4bit_nc", "H100-80", "KvCacheDtypeNotSupported"),
    "fp8 beside sinks on Ampere": ("gpt-oss-20b", "fp8", "A100-80", "KvCacheDtypeNeedsNewerGpu"),
    "fp8 beside sinks on Ada": ("gpt-oss-20b", "fp8", "L40S", None),
    "fp8 of wide heads on Ampere": ("gemma2-9b", "fp8", "A100-80", None),
    "fp8 of heads that FlashInfer has no kernel for on Ampere": (
        "phi-2",
        "fp8",
        "A100-80",
        "KvCacheDtypeNeedsNewerGpu",
    ),
    "fp8 by token and head on Ampere": ("llama31-8b", "fp8_per_token_head", "A100-80", "KvCacheDtypeNeedsNewerGpu"),
    "bfloat16 of latent attention": ("deepseek-v2-lite", "bfloat16", "A100-80", None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_cache_can_be(name: str) -> None:
    model, dtype, gpu, reason = CASES[name]
    told = cache_dtype_objection(facts_of(model), dtype, GPUS[gpu])
    assert (told.reason if told is not None else None) == reason


def test_scales_of_the_checkpoint_ask_for_fp8() -> None:
    stored = Quantization("modelopt_fp4", 4, kv_cache_scheme="fp8")
    facts = replace(facts_of("deepseek-v2-lite"), stored_quantization=stored)
    told = cache_dtype_objection(facts, "auto", GPUS["A100-80"])
    assert told is not None
    assert told.message.endswith("Use bfloat16.")
    assert cache_dtype_objection(facts, "bfloat16", GPUS["A100-80"]) is None
    assert cache_dtype_objection(facts, "auto", GPUS["H100-80"]) is None
